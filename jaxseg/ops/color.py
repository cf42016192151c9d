"""Colour spaces: sRGB, linear RGB, CIE XYZ and CIE Lab under D65.

IEC 61966-2-1 (sRGB) and CIE 1976 L*a*b*, two-degree observer, with the
rounded constants that scikit-image has: 7.787 and 0.008856 instead of the
fractions, and a white point that the matrix misses in the fifth digit.

Arrays are float (..., 3), any number of axes before. sRGB and linear RGB lie
in [0, 1], XYZ too (white has Y = 1), L in [0, 100], a and b in about -110 to
110. Gradients are finite everywhere, black included: the powers are taken
where they are used and nowhere else.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

# XYZ = MATRIX @ linear RGB.
MATRIX = np.array(
  [
    [0.412453, 0.357580, 0.180423],
    [0.212671, 0.715160, 0.072169],
    [0.019334, 0.119193, 0.950227],
  ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])  # D65
# Below these both curves are straight lines.
SRGB_KNEE = 0.04045
LINEAR_KNEE = 0.0031308
XYZ_KNEE = 0.008856
LAB_KNEE = 0.2068966
SLOPE, OFFSET = 7.787, 16 / 116


def _curve(x: Array, knee: float, line: Array, power: float, a: float = 0.0):
  """((x + a) / (1 + a))^power above the knee, `line` below it."""
  above = x > knee
  safe = jnp.where(above, x, 1.0)  # no power of 0: its slope is infinite
  return jnp.where(above, ((safe + a) / (1 + a)) ** power, line)


def _mix(x: Array, matrix: np.ndarray) -> Array:
  """(..., 3) times the rows of a 3 x 3 matrix, in full float32."""
  matrix = jnp.asarray(matrix, x.dtype)
  return jnp.einsum("...c,dc->...d", x, matrix, precision=lax.Precision.HIGHEST)


def srgb_to_linear(rgb: Array) -> Array:
  """Undoes the gamma of sRGB: [0, 1] to [0, 1]."""
  rgb = jnp.asarray(rgb, jnp.float32)
  return _curve(rgb, SRGB_KNEE, rgb / 12.92, 2.4, 0.055)


def linear_to_srgb(rgb: Array) -> Array:
  """The gamma of sRGB; what is below 0 stays below it, on the line."""
  rgb = jnp.asarray(rgb, jnp.float32)
  curved = 1.055 * _curve(rgb, LINEAR_KNEE, rgb, 1 / 2.4) - 0.055
  return jnp.where(rgb > LINEAR_KNEE, curved, 12.92 * rgb)


def linear_to_xyz(rgb: Array) -> Array:
  """Linear RGB in [0, 1] to XYZ."""
  return _mix(jnp.asarray(rgb, jnp.float32), MATRIX)


def xyz_to_linear(xyz: Array) -> Array:
  """XYZ to linear RGB; colours that no screen shows lie outside [0, 1]."""
  return _mix(jnp.asarray(xyz, jnp.float32), np.linalg.inv(MATRIX))


def xyz_to_lab(xyz: Array) -> Array:
  """XYZ to L in [0, 100], a (green to red) and b (blue to yellow)."""
  t = jnp.asarray(xyz, jnp.float32) / jnp.asarray(WHITE, jnp.float32)
  f = _curve(t, XYZ_KNEE, SLOPE * t + OFFSET, 1 / 3)
  x, y, z = f[..., 0], f[..., 1], f[..., 2]
  return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def lab_to_xyz(lab: Array) -> Array:
  """The inverse of `xyz_to_lab`; a Z below 0 becomes 0, as scikit-image has."""
  lab = jnp.asarray(lab, jnp.float32)
  y = (lab[..., 0] + 16) / 116
  x, z = lab[..., 1] / 500 + y, y - lab[..., 2] / 200
  f = jnp.stack([x, y, jnp.maximum(z, 0.0)], -1)
  t = _curve(f, LAB_KNEE, (f - OFFSET) / SLOPE, 3.0)
  return t * jnp.asarray(WHITE, jnp.float32)


def rgb_to_lab(rgb: Array) -> Array:
  """sRGB (..., 3) in [0, 1] to Lab (..., 3)."""
  return xyz_to_lab(linear_to_xyz(srgb_to_linear(rgb)))


def lab_to_rgb(lab: Array) -> Array:
  """Lab (..., 3) to sRGB, cut off at 0 and 1: no screen shows the rest."""
  rgb = linear_to_srgb(xyz_to_linear(lab_to_xyz(lab)))
  return jnp.clip(rgb, 0.0, 1.0)


def grey(rgb: Array) -> Array:
  """The grey picture of the same lightness: sRGB (..., 3), equal channels.

  What a network may see that is to find the colours; of a grey picture it is
  that picture.
  """
  luminance = linear_to_xyz(srgb_to_linear(rgb))[..., 1:2]
  return jnp.broadcast_to(linear_to_srgb(luminance), rgb.shape)
