"""Layers that encoders and networks share.

Convolution with the padding of torch or of TensorFlow, its transpose, batch
and group normalisation, the block of all three, heads. Parameters are float32
whatever the compute dtype; kernels start He-normal (He et al. 2015,
arXiv:1502.01852), biases at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxseg import types
from jaxseg.ops import batch_norm, finished
from jaxseg.ops import conv as conv_ops

Array = jax.Array
NORMS = ("none", "batch", "group")
PADDINGS = ("torch", "tf", "valid")
Padding = str | int | tuple[tuple[int, int], tuple[int, int]]
he_normal = nn.initializers.he_normal()

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  "none": lambda x: x,
  "relu": nn.relu,
  "relu6": nn.relu6,
  "hard_swish": nn.hard_swish,
  "leaky_relu": nn.leaky_relu,  # slope 0.01
  "silu": nn.silu,
  "tanh": nn.tanh,
}


def check_image(image: Array, min_size: int, name: str) -> None:
  """Raises UserError unless image is (b, h, w, c) with h, w >= min_size."""
  if image.ndim != 4 or min(image.shape[1:3]) < min_size:
    raise types.UserError(
      f"model '{name}' got an image of shape {tuple(image.shape)}; expected"
      f" (b, h, w, c) with h and w of at least {min_size}: use larger images."
    )


def check_choice(name: str, value: object, choices: tuple) -> None:
  """Raises UserError unless value is one of choices."""
  if value not in choices:
    raise types.UserError(
      f"{name}={value!r} is unknown; expected one of"
      f" {', '.join(map(repr, choices))}."
    )


def pads(
  padding: Padding, kernel: int, dilation: int = 1
) -> str | tuple[tuple[int, int], tuple[int, int]]:
  """What `ops.conv.conv2d` wants for a padding by name or in pixels.

  'torch' pads dilation * (kernel - 1) // 2 zeros on every side; 'tf' (also
  'SAME') pads as few as n / stride pixels need, more of them at the end: at
  stride 2 the two differ. 'valid' pads none. A pair of pairs is ((top,
  bottom), (left, right)) pixels.
  """
  if isinstance(padding, tuple):
    return padding
  if isinstance(padding, str):
    name = {"same": "tf"}.get(padding.lower(), padding.lower())
    check_choice("padding", name, PADDINGS)
    if name != "torch":
      return "SAME" if name == "tf" else "VALID"
    padding = dilation * (kernel - 1) // 2
  return ((padding, padding), (padding, padding))


class Conv(nn.Module):
  """k x k convolution, parameters as in `nn.Conv`, the fast form of ops.

  Args:
    features: output channels.
    kernel: k, square.
    stride: s.
    padding: 'torch', 'tf' ('SAME'), 'valid' or pixels; see `pads`.
    dilation: distance of the taps.
    groups: channel groups that do not mix; 0: one per channel (depthwise,
      `features` a multiple of the input's).
    use_bias: adds a bias per channel.
    kernel_init: of the kernel (k, k, in / groups, features).
    bias_init: of the bias (features,).
    dtype: compute dtype.
  """

  features: int
  kernel: int = 3
  stride: int = 1
  padding: Padding = "torch"
  dilation: int = 1
  groups: int = 1
  use_bias: bool = True
  kernel_init: Callable[..., Array] = he_normal
  bias_init: Callable[..., Array] = nn.initializers.zeros
  dtype: str = "float32"

  @nn.compact
  def __call__(
    self, x: Array, affine: finished.Affine | None = None, act: str = "none"
  ) -> Array:
    """(b, h, w, c) -> (b, h', w', features).

    With `affine` and `act`, a name in `finished.ACTIVATIONS`, what they make
    of it, in one pass where that can be.
    """
    groups = self.groups or x.shape[-1]
    shape = (self.kernel, self.kernel, x.shape[-1] // groups, self.features)
    kernel = self.param("kernel", self.kernel_init, shape)
    if self.use_bias:
      bias = self.param("bias", self.bias_init, (self.features,))
      affine = finished.with_bias(bias.astype(self.dtype), affine)
    x = conv_ops.conv2d(
      x.astype(self.dtype),
      kernel,
      stride=self.stride,
      padding=pads(self.padding, self.kernel, self.dilation),
      dilation=self.dilation,
      groups=groups,
      affine=affine,
      act=act,
    )
    return x.astype(self.dtype)


class ConvTranspose(nn.Module):
  """`nn.ConvTranspose` with the same parameters and the fast form of ops.

  Args:
    features: output channels.
    kernel: k, square.
    stride: s.
    padding: as in `ops.conv.conv_transpose`; 'SAME' gives n * s pixels.
    output_padding: see there.
    use_bias: adds a bias per channel.
    dtype: compute dtype.
  """

  features: int
  kernel: int = 2
  stride: int = 2
  padding: int | str = "SAME"
  output_padding: int = 0
  use_bias: bool = True
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h * s, w * s, features) with 'SAME'."""
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    kernel = self.param("kernel", he_normal, shape)
    y = conv_ops.conv_transpose(
      x.astype(self.dtype),
      kernel,
      stride=self.stride,
      padding=self.padding,
      output_padding=self.output_padding,
    )
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros, (self.features,))
      y = y + bias.astype(y.dtype)
    return y


class BatchNorm(nn.Module):
  """Batch normalisation; variables as nn.BatchNorm has them.

  Args:
    momentum: share of the old running statistics in the new ones.
    epsilon: added to the variance.
    dtype: of the output; statistics are float32.
  """

  momentum: float = 0.9
  epsilon: float = 1e-5
  dtype: str = "float32"

  @nn.compact
  def __call__(
    self, channels: int, x: Array | None = None
  ) -> Array | finished.Affine:
    """Normalises (b, h, w, channels), or says what would be done to it.

    With `x`, by its own statistics, which also go into the running ones.
    Without, the affine map that the running ones make, which stay.
    """
    shape = (channels,)
    mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
    var = self.variable("batch_stats", "var", jnp.ones, shape)
    scale = self.param("scale", nn.initializers.ones, shape)
    bias = self.param("bias", nn.initializers.zeros, shape)
    if x is None:
      gain = lax.rsqrt(var.value + self.epsilon) * scale
      return finished.Affine(mean.value, gain, bias)
    y, batch_mean, batch_var = batch_norm.batch_norm(
      x, scale, bias, self.epsilon
    )
    if not self.is_initializing():
      for old, new in ((mean, batch_mean), (var, batch_var)):
        old.value = self.momentum * old.value + (1 - self.momentum) * new
    return y.astype(self.dtype)


def normalize(
  x: Array,
  norm: str,
  *,
  train: bool,
  dtype: str,
  name: str,
  frozen: bool = False,
  momentum: float = 0.9,
  epsilon: float = 1e-5,
) -> Array:
  """Batch or group normalisation by name, or nothing.

  Call inside a compact method. Group normalisation takes 32 groups, or the
  largest number that divides both 32 and the channels.

  Args:
    x: (b, h, w, c).
    norm: 'none', 'batch' or 'group'.
    train: statistics of the batch instead of the running ones.
    dtype: compute dtype.
    name: of the parameters.
    frozen: running statistics in training too, and they stay as they are;
      scale and bias are frozen by the optimizer's rules.
    momentum: share of the old running statistics (torch's 0.1 is 0.9 here).
    epsilon: added to the variance.
  """
  if norm == "batch":
    module = BatchNorm(momentum, epsilon, dtype, name=name)
    if train and not frozen:
      return module(x.shape[-1], x)
    return module(x.shape[-1])(x).astype(dtype)
  if norm == "group":
    groups = math.gcd(32, x.shape[-1])
    return nn.GroupNorm(groups, epsilon=epsilon, dtype=dtype, name=name)(x)
  return x


def conv_norm_act(
  conv: Conv,
  x: Array,
  norm: str,
  act: str,
  *,
  train: bool,
  name: str,
  frozen: bool = False,
  **fields: float,
) -> Array:
  """Convolution, normalisation and activation; one pass where that can be.

  Call inside a compact method.

  Args:
    conv: what convolves, and has the compute dtype.
    x: (b, h, w, c).
    norm, train, name, frozen: see `normalize`.
    act: name in ACTIVATIONS.
    fields: momentum and epsilon, see there.
  """
  own = {"dtype": conv.dtype, "name": name, **fields}
  last = act if act in finished.ACTIVATIONS else "none"
  if norm == "batch" and (frozen or not train):
    x = conv(x, BatchNorm(**own)(conv.features), last)
  elif norm == "none":
    x = conv(x, act=last)
  else:
    last = "none"
    x = normalize(conv(x), norm, train=train, frozen=frozen, **own)
  return x if last == act else ACTIVATIONS[act](x)


class ConvNormAct(nn.Module):
  """k x k convolution, normalisation, activation: children conv and norm.

  Args:
    features: output channels.
    kernel, stride, padding, dilation, groups, use_bias: see `Conv`.
    norm: 'none', 'batch' or 'group'.
    act: name in ACTIVATIONS.
    frozen, momentum, epsilon: see `normalize`.
    dtype: compute dtype.
  """

  features: int
  kernel: int = 3
  stride: int = 1
  padding: Padding = "torch"
  dilation: int = 1
  groups: int = 1
  use_bias: bool = False
  norm: str = "batch"
  act: str = "relu"
  frozen: bool = False
  momentum: float = 0.9
  epsilon: float = 1e-5
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h', w', features)."""
    conv = Conv(
      self.features,
      self.kernel,
      stride=self.stride,
      padding=self.padding,
      dilation=self.dilation,
      groups=self.groups,
      use_bias=self.use_bias,
      dtype=self.dtype,
      name="conv",
    )
    return conv_norm_act(
      conv,
      x,
      self.norm,
      self.act,
      train=train,
      name="norm",
      frozen=self.frozen,
      momentum=self.momentum,
      epsilon=self.epsilon,
    )


def heads(
  x: Array, outputs: Mapping[str, int], kernel: int = 1
) -> dict[str, Array]:
  """One convolution `head_{name}` per output, in float32.

  Call inside a compact method. (b, h, w, c) -> {name: (b, h, w, channels)}.
  """
  x = x.astype(jnp.float32)
  return {
    name: Conv(channels, kernel, name=f"head_{name}")(x)
    for name, channels in sorted(dict(outputs).items())
  }
