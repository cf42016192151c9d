"""Any network with a trainable random field behind it: CRF-RNN.

Zheng, Jayasumana, Romera-Paredes, Vineet, Su, Du, Huang, Torr, "Conditional
Random Fields as Recurrent Neural Networks" (2015, arXiv 1502.03240). The mean
field of `classical.crf.dense` is unrolled; a weight per class for each kernel
and the compatibility of classes are learned with the network, the deviations
are not. Fewer iterations in training (5) than afterwards (10).

Differs from the paper in the sign of the compatibility, which is what a pair
of labels pays, as in `dense`; it starts at Potts' model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxseg.classical.crf import dense
from jaxseg.types import Array, UserError


class CRFRNN(nn.Module):
  """The network's outputs, its logits replaced by those of the field.

  The parameters crf_bilateral (k,), crf_smooth (k,) and crf_compatibility
  (k, k), 2 k + k^2 numbers for k classes, lie beside the network's, which keep
  their names.

  Args:
    network: any whose 'logits' have the size of the image.
    options: the field; its weights are where the parameters start, its
      iterations are those of training.
    test_iterations: of the mean field afterwards.
  """

  network: nn.Module
  options: dense.DenseOptions = dense.DenseOptions()
  test_iterations: int = 10

  def __post_init__(self):
    if self.test_iterations < 1:
      raise UserError(
        f"crf test_iterations = {self.test_iterations}: expected at least 1, "
        "such as 10."
      )
    super().__post_init__()

  @property
  def outputs(self) -> Mapping[str, int]:
    """Head name -> channels."""
    return self.network.outputs

  @property
  def min_size(self) -> int:
    """Smallest height and width of an image."""
    return self.network.min_size

  def setup(self) -> None:
    """The network's parameters keep the names that they have alone."""
    nn.share_scope(self, self.network)

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Any]:
    """(b, h, w, 3) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the logits do not have the size of the image.
    """
    out = dict(self.network(image, train=train))
    logits = out["logits"]
    if logits.shape[:3] != image.shape[:3]:
      raise UserError(
        f"the crf got logits of shape {logits.shape} for an image of "
        f"{image.shape}: expected the same size; choose a network that "
        "answers at full resolution."
      )
    k = logits.shape[-1]
    kernels = []
    # The picture decides the kernels and gets no gradient from them.
    made = dense.filters(lax.stop_gradient(image), self.options)
    for name, run in made.items():
      start = getattr(self.options, f"{name}_weight")
      weight = self.param(f"crf_{name}", nn.initializers.constant(start), (k,))
      kernels.append((run, weight))
    compatibility = self.param(
      "crf_compatibility", lambda _: 1 - jnp.eye(k, dtype=jnp.float32)
    )
    out["logits"] = dense.mean_field(
      dense.unary_energies(logits),
      kernels,
      compatibility,
      self.options.iterations if train else self.test_iterations,
    )
    return out
