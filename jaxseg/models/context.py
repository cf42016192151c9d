"""Dilated VGG and the context module (Yu and Koltun 2015, arXiv:1511.07122).

The front end is VGG-16 without its last two poolings and without padding: its
later convolutions are dilated, its input is mirrored by the 186 pixels that
they eat. The context module refines the scores with dilations up to 16.

Differs from the paper: images enter in [0, 1] RGB and the ImageNet
normalisation is the default; both parts may be trained at once, for which the
scores that a basic module refines start at 1: it hands on what is positive, and
the gradient of a class whose score starts below 0 never arrives. In the large
form the noise of its initialiser leaves every class a way.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.encoders import normalization as norms
from jaxseg.ops import conv, pooling, resize

Array = jax.Array
# Stage by stage: convolutions, width, dilation, pooling after it.
STAGES = ((2, 1, 1, True), (2, 2, 1, True), (3, 4, 1, True))
STAGES += ((3, 8, 1, False), (3, 8, 2, False))
MARGIN = 186  # pixels that the front end eats at each border
STRIDE = 8
DILATIONS = (1, 1, 2, 4, 8, 16, 1)  # VOC and CamVid; KITTI without the 16
DILATIONS_LONG = (1, 1, 2, 4, 8, 16, 32, 64, 1)  # Cityscapes
WIDTHS = {"basic": (1,), "large": (2, 2, 4, 8, 16, 32)}  # the last repeats
CONTEXTS = ("none", "basic", "large")
CONTEXT_PADDINGS = ("same", "first", "valid")


class DilatedStages(nn.Module):
  """VGG-16's convolutions at stride 8, no padding; parameters of the VGG.

  Args:
    width: channels of the first stage.
    normalization: of the image.
    dtype: compute dtype.
  """

  width: int = 64
  normalization: str | norms.Normalization = "imagenet"
  dtype: str = "float32"

  @nn.compact
  def __call__(self, image: Array) -> Array:
    """(b, h, w, 3) in [0, 1] -> (b, (h - 180) / 8, (w - 180) / 8, 8 width)."""
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    for stage, (depth, width, dilation, pool) in enumerate(STAGES, 1):
      for i in range(1, depth + 1):
        x = layers.Conv(
          width * self.width,
          padding="valid",
          dilation=dilation,
          dtype=self.dtype,
          name=f"conv{stage}_{i}",
        )(x, act="relu")
      x = pooling.max_pool(x) if pool else x
    return x


def identity_init(classes: int, noise: float = 0.01):
  """Initialiser of a context convolution that hands its input on.

  Channel b of c' reads, at the central tap, all channels a of c that stand for
  the same class, floor(a classes / c) = floor(b classes / c'), with weight
  classes / c'. Where c = c' = classes this is the identity; elsewhere `noise`
  is the standard deviation of all other weights, to break the symmetry.
  """

  def init(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    kernel, _, c_in, c_out = shape
    same = (np.arange(c_in) * classes // c_in)[:, None] == (
      np.arange(c_out) * classes // c_out
    )
    eye = np.zeros(shape, np.float32)
    eye[kernel // 2, kernel // 2] = same * (classes / c_out)
    if c_in == c_out == classes or not noise:
      return jnp.asarray(eye, dtype)
    other = noise * jax.random.normal(key, shape, dtype)
    return jnp.where(eye != 0, eye, other)

  return init


class ContextModule(nn.Module):
  """Dilated 3x3 convolutions and a 1x1 one on a map of c class scores.

  Starts as the identity on positive scores: exactly so in the basic form, up
  to `noise` in the large one. Receptive field 67, or 259 with the long
  dilations.

  Args:
    form: 'basic' (c channels throughout) or 'large' (up to 32 c).
    dilations: of the 3x3 convolutions.
    padding: 'same' (zeros before every convolution), 'first' (all zeros before
      the first one, as in the published network for VOC) or 'valid'.
    noise: see `identity_init`.
    dtype: compute dtype.
  """

  form: str = "basic"
  dilations: tuple[int, ...] = DILATIONS
  padding: str = "same"
  noise: float = 0.01
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h, w, c); 'valid': less the receptive field."""
    layers.check_choice("form", self.form, tuple(WIDTHS))
    layers.check_choice("padding", self.padding, CONTEXT_PADDINGS)
    classes = x.shape[-1]
    widths = WIDTHS[self.form]
    init = identity_init(classes, self.noise)
    if self.padding == "first":
      margin = sum(self.dilations)
      pads = ((0, 0), (margin, margin), (margin, margin), (0, 0))
      x = jnp.pad(x, pads)
    for i, dilation in enumerate(self.dilations):
      x = layers.Conv(
        classes * widths[min(i, len(widths) - 1)],
        padding="torch" if self.padding == "same" else "valid",
        dilation=dilation,
        kernel_init=init,
        dtype=self.dtype,
        name=f"conv{i + 1}",
      )(x, act="relu")
    return layers.Conv(
      classes, 1, kernel_init=init, dtype=self.dtype, name="final"
    )(x)


class DilatedVGG(nn.Module):
  """Front end, and for every head a score, its context, bilinear upsampling.

  Any image size works: the mirrored border also fills up to a multiple of 8.

  Args:
    outputs: head name -> channels.
    context: 'none' (the front end alone), 'basic' or 'large'.
    dilations: of the context module.
    context_padding: its `padding`.
    mirror: mirror the image and upsample the scores to it. False is the raw
      net: n pixels, 380 at least, give (n - 372) / 8 scores.
    width: channels of the first stage.
    fc_width: channels of fc6 and fc7.
    normalization: of the image.
    dropout: rate after fc6 and fc7.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  context: str = "none"
  dilations: tuple[int, ...] = DILATIONS
  context_padding: str = "same"
  mirror: bool = True
  width: int = 64
  fc_width: int = 4096
  normalization: str | norms.Normalization = "imagenet"
  dropout: float = 0.5
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty (or, for the raw net, has less than 380
        pixels a side), or an option is unknown.
    """
    least = self.min_size if self.mirror else 2 * MARGIN + STRIDE
    layers.check_image(image, least, "dilated_vgg")
    layers.check_choice("context", self.context, CONTEXTS)
    size = image.shape[1:3]
    if self.mirror:
      rows, cols = ((MARGIN, MARGIN + -n % STRIDE) for n in size)
      image = resize.pad_mirror(image, rows, cols)
    x = DilatedStages(
      self.width, self.normalization, self.dtype, name="encoder"
    )(image)
    for name, kernel, dilation in (("fc6", 7, 4), ("fc7", 1, 1)):
      x = layers.Conv(
        self.fc_width,
        kernel,
        padding="valid",
        dilation=dilation,
        dtype=self.dtype,
        name=name,
      )(x, act="relu")
      x = nn.Dropout(
        self.dropout, deterministic=not train, name=f"drop_{name}"
      )(x)
    out = {
      name: self._score(name, channels, x)
      for name, channels in sorted(self.outputs.items())
    }  # (b, h / 8, w / 8, channels)
    if not self.mirror:
      return out
    # Kernel 16, stride 8, padding 4.
    return {
      name: conv.bilinear_transpose(x, stride=STRIDE, offset=4, size=size)
      for name, x in out.items()
    }

  def _score(self, name: str, channels: int, x: Array) -> Array:
    init = nn.initializers.normal(0.001)
    start = 1.0 if self.context == "basic" else 0.0  # see the module
    score = layers.Conv(
      channels,
      1,
      kernel_init=init,
      bias_init=nn.initializers.constant(start),
      name=f"head_{name}",
    )
    x = score(x.astype(jnp.float32))
    if self.context == "none":
      return x
    return ContextModule(
      self.context,
      tuple(self.dilations),
      self.context_padding,
      name=f"context_{name}",
    )(x)
