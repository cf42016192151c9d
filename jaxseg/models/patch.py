"""The sliding-window patch classifier, computed densely.

A small network looks at the w x w pixels around each pixel and names the one
in the centre (Ning et al. 2005, doi:10.1109/TIP.2005.852470; Ciresan et al.
2012, "Deep neural networks segment neuronal membranes"). Patches overlap, so
one pass of the same network without padding over the whole, padded image
computes all of them at once and shares their work (Sermanet et al. 2013,
arXiv:1312.6229).

Differs from Ciresan et al. in that it does not pool.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers, types
from jaxseg.ops import resize

Array = jax.Array
BORDERS = ("mirror", "zero", "none")


class PatchClassifier(nn.Module):
  """Convolutions of 3x3, one over all that is left of the patch, 1x1 heads.

  Args:
    outputs: head name -> channels.
    patch: w, odd. 1 sees one pixel: the baseline without context.
    width: channels of the 3x3 convolutions.
    depth: how many of them, where the patch has room.
    fc_width: channels of the fully connected layer.
    border: what lies around the image: 'mirror' or 'zero'. 'none' adds
      nothing: logits lose (w - 1) / 2 pixels a side, and one patch gives one
      vector.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  patch: int = 17
  width: int = 32
  depth: int = 8
  fc_width: int = 128
  border: str = "mirror"
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty or, with border 'none', smaller than a
        patch; the patch is not odd.
    """
    self._check(image)
    reach = (self.patch - 1) // 2
    x = image.astype(self.dtype)
    if self.border == "mirror":
      x = resize.pad_mirror(x, (reach, reach), (reach, reach))
    elif self.border == "zero":
      x = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    left = self.patch
    for i in range(min(self.depth, reach)):
      x = self._conv(x, self.width, 3, f"conv{i + 1}")
      left -= 2
    x = self._conv(x, self.fc_width, left, "fc")  # (b, h, w, fc_width)
    return layers.heads(x, self.outputs)

  def _conv(self, x: Array, features: int, kernel: int, name: str) -> Array:
    conv = layers.Conv(
      features, kernel, padding="valid", dtype=self.dtype, name=name
    )
    return conv(x, act="relu")

  def _check(self, image: Array) -> None:
    if self.patch < 1 or self.patch % 2 == 0:
      raise types.UserError(
        f"patch={self.patch} has no centre pixel; expected an odd number of at"
        " least 1."
      )
    layers.check_choice("border", self.border, BORDERS)
    least = self.patch if self.border == "none" else self.min_size
    layers.check_image(image, least, "patch")
