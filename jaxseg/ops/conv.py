"""Convolution, transposed convolution and relatives; forms that train fast.

Arrays are (b, h, w, c), kernels (kh, kw, in, out) as in `nn.ConvTranspose`:
the kernel is correlated with the zero-inserted input, so the stamp that one
input pixel paints is `kernel[::-1, ::-1]`. A torch weight (in, out, kh, kw)
is therefore `w.transpose(2, 3, 0, 1)[::-1, ::-1]` here.

A transposed convolution of stride s writes s * s interleaved phases, each of
them an ordinary convolution with ceil(k / s) taps. All phases together are one
convolution to s * s * c channels and a depth-to-space (Shi et al. 2016,
arXiv:1609.05158); for k = s it is a matrix product. No zero is multiplied that
the kernel does not hold, and both gradients are ordinary convolutions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.ops import fastconv, finished

Array = jax.Array
_SHIFTS = 4  # up to this many taps a phase is a sum of matrix products


def conv2d(
  x: Array,
  kernel: Array,
  *,
  stride: int | tuple[int, int] = 1,
  padding: int | str | tuple[tuple[int, int], tuple[int, int]] = 0,
  dilation: int | tuple[int, int] = 1,
  groups: int = 1,
  affine: finished.Affine | None = None,
  act: str = "none",
) -> Array:
  """Convolution (correlation, as everywhere in this field).

  Args:
    x: (b, h, w, in).
    kernel: (kh, kw, in / groups, out).
    stride: one number or (rows, columns).
    padding: zeros per side, 'SAME' (TensorFlow's), 'VALID', or
      ((top, bottom), (left, right)).
    dilation: distance of the taps, one number or (rows, columns).
    groups: output channel j reads the inputs of group j * groups // out.
    affine: applied to the output: biases, or a normalisation.
    act: name in `finished.ACTIVATIONS`, applied behind `affine`.

  Returns:
    (b, h', w', out) in the dtype of `x`, or that of it and `affine`.
  """
  stride, dilation = _pair(stride), _pair(dilation)
  kernel = kernel.astype(x.dtype)
  pads = _explicit(x.shape[1:3], kernel.shape[:2], stride, padding, dilation)
  rest = (stride, pads, dilation, groups)
  if affine is None:
    return finished.ACTIVATIONS[act][0](fastconv.convolve(x, kernel, *rest))
  return finished.convolve(x, kernel, affine, act, *rest)


def _explicit(
  size: tuple[int, int],
  kernel: tuple[int, int],
  stride: tuple[int, int],
  padding: int | str | tuple[tuple[int, int], tuple[int, int]],
  dilation: tuple[int, int],
) -> tuple[tuple[int, int], tuple[int, int]]:
  """Any padding as ((top, bottom), (left, right))."""
  if isinstance(padding, int):
    return ((padding, padding), (padding, padding))
  if isinstance(padding, str):
    window = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    rows, cols = lax.padtype_to_pads(size, window, stride, padding)
    return (tuple(rows), tuple(cols))
  rows, cols = padding
  return (tuple(rows), tuple(cols))


def depth_to_space(x: Array, factor: tuple[int, int]) -> Array:
  """(b, h, w, fh * fw * c) -> (b, h * fh, w * fw, c).

  The channel axis is read as (fh, fw, c), TensorFlow's order; torch's
  PixelShuffle reads (c, fh, fw).
  """
  b, h, w, c = x.shape
  fh, fw = factor
  x = x.reshape(b, h, w, fh, fw, c // (fh * fw))
  x = x.transpose(0, 1, 3, 2, 4, 5)  # (b, h, fh, w, fw, c)
  return x.reshape(b, h * fh, w * fw, -1)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
  return (value, value) if isinstance(value, int) else tuple(value)


def _crops(
  n: int, k: int, s: int, padding: int | str, output_padding: int
) -> tuple[int, int]:
  """First index and length of the result inside the full (n-1)s + k line."""
  if padding == "SAME":
    # What the gradient of a SAME convolution from n * s pixels would do.
    return max(k - s, 0) // 2, n * s
  length = (n - 1) * s - 2 * padding + k + output_padding
  if length < 1:
    raise ValueError(
      f"transposed convolution of {n} pixels with kernel {k}, stride {s},"
      f" padding {padding} gives {length} pixels; expected at least 1."
    )
  return padding, length


def conv_transpose(
  x: Array,
  kernel: Array,
  *,
  stride: int | tuple[int, int] = 2,
  padding: int | tuple[int, int] | str = 0,
  output_padding: int | tuple[int, int] = 0,
) -> Array:
  """Transposed convolution, sizes as in torch: (n-1)s - 2p + k + o.

  Args:
    x: (b, h, w, in).
    kernel: (kh, kw, in, out), see the head of the module.
    stride: s, one number or (rows, columns).
    padding: p cropped from both ends, or 'SAME' for exactly n * s pixels.
    output_padding: o more pixels at the end; not read with 'SAME'.

  Returns:
    (b, h', w', out) in the dtype of `x`.

  Raises:
    ValueError: the padding leaves no pixel, or the channels do not match.
  """
  kh, kw, cin, cout = kernel.shape
  if cin != x.shape[-1]:
    raise ValueError(
      f"kernel {kernel.shape} reads {cin} channels, the input {x.shape} has"
      f" {x.shape[-1]}."
    )
  kernel = kernel.astype(x.dtype)
  sh, sw = _pair(stride)
  pads = ("SAME",) * 2 if padding == "SAME" else _pair(padding)
  extra = _pair(output_padding)
  rows = _crops(x.shape[1], kh, sh, pads[0], extra[0])
  cols = _crops(x.shape[2], kw, sw, pads[1], extra[1])

  # Taps per phase. The stamp grows to a multiple of the stride with zeros at
  # its end; out[s i + t] = sum over m of x[i - m] stamp[s m + t].
  mh, mw = -(-kh // sh), -(-kw // sw)
  stamp = jnp.pad(
    kernel[::-1, ::-1], ((0, mh * sh - kh), (0, mw * sw - kw), (0, 0), (0, 0))
  )
  phases = stamp.reshape(mh, sh, mw, sw, cin, cout)[::-1, :, ::-1]
  phases = phases.transpose(0, 2, 4, 1, 3, 5)  # (mh, mw, in, sh, sw, out)
  phases = phases.reshape(mh, mw, cin, sh * sw * cout)
  if mh * mw <= _SHIFTS:
    y = _shifted_products(x, phases)
  else:
    y = lax.conv_general_dilated(
      x,
      phases,
      (1, 1),
      [(mh - 1, mh - 1), (mw - 1, mw - 1)],
      dimension_numbers=fastconv.DIMENSIONS,
    )  # (b, h + mh - 1, w + mw - 1, sh * sw * out)
  y = depth_to_space(y, (sh, sw))  # (b, >= (h-1)s + k, ..., out)
  return _window(y, rows, cols)


def _shifted_products(x: Array, kernel: Array) -> Array:
  """Convolution with full padding, one matrix product per tap.

  XLA:CPU takes 20 times as long for the gradients of a 2x2 convolution.
  """
  mh, mw = kernel.shape[:2]
  h, w = x.shape[1] + mh - 1, x.shape[2] + mw - 1
  x = jnp.pad(x, ((0, 0), (mh - 1, mh - 1), (mw - 1, mw - 1), (0, 0)))
  terms = [
    fastconv.product(x[:, i : i + h, j : j + w], kernel[i, j])
    for i in range(mh)
    for j in range(mw)
  ]
  return sum(terms[1:], terms[0])


def _window(y: Array, rows: tuple[int, int], cols: tuple[int, int]) -> Array:
  """Rows and columns (first, length) of y; zeros where y has ended."""
  ends = [
    (-first, first + length - size, 0)
    for (first, length), size in zip((rows, cols), y.shape[1:3])
  ]
  if all(e == (0, 0, 0) for e in ends):
    return y
  zero = jnp.zeros((), y.dtype)
  return lax.pad(y, zero, [(0, 0, 0), *ends, (0, 0, 0)])


def bilinear_weights(k: int) -> np.ndarray:
  """The 1-D tent of a bilinear kernel of k taps, float32 (k,).

  Half width f = (k + 1) // 2, centre f - 1 for odd k, f - 0.5 for even k
  (Long et al. 2015, arXiv:1411.4038).
  """
  f = (k + 1) // 2
  centre = f - 1 if k % 2 else f - 0.5
  return (1 - np.abs(np.arange(k) - centre) / f).astype(np.float32)


def bilinear_kernel(k: int, channels: int) -> np.ndarray:
  """(k, k, c, c) kernel that upsamples every channel by itself."""
  tent = bilinear_weights(k)
  eye = np.eye(channels, dtype=np.float32)
  return np.outer(tent, tent)[:, :, None, None] * eye


def bilinear_transpose(
  x: Array,
  *,
  stride: int,
  offset: int = 0,
  size: tuple[int, int] | None = None,
) -> Array:
  """Transposed convolution with the fixed bilinear kernel of 2 * stride taps.

  Equal to `conv_transpose(x, bilinear_kernel(2 * stride, c), stride=stride)`
  cropped to `size` rows and columns from `offset`, as two products with
  constant matrices: the kernel is separable and the channels do not mix.

  Returns (b, *size, c); without a size all (n + 1) * stride pixels.
  """
  tent = bilinear_weights(2 * stride)
  full = [(n + 1) * stride for n in x.shape[1:3]]
  size = size or (full[0] - offset, full[1] - offset)
  for length, available in zip(size, full):
    if offset + length > available:
      raise ValueError(
        f"crop of {length} pixels at {offset} from {available}; expected a"
        " crop inside the upsampled map."
      )

  def matrix(n: int, length: int) -> np.ndarray:
    m = np.zeros(((n + 1) * stride, n), np.float32)
    for i in range(n):
      m[i * stride : (i + 2) * stride, i] = tent
    return m[offset : offset + length].astype(x.dtype)

  rows = matrix(x.shape[1], size[0])
  cols = matrix(x.shape[2], size[1])
  high = lax.Precision.HIGHEST
  x = jnp.einsum("bhwc,yh->bywc", x, rows, precision=high)
  return jnp.einsum("bywc,xw->byxc", x, cols, precision=high)
