"""A convolution that ends with a normalisation and an activation.

Running statistics make batch normalisation one affine map per channel, and XLA
computes it, and the activation, in one pass over what the convolution has
written. Where the convolution is `direct` it is done to the outputs while they
are in registers, and no core has to fetch what another wrote for it. Elsewhere,
and wherever gradients are wanted, the two stay apart.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import direct, fastconv, rows

Array = jax.Array
Pair = tuple[int, int]
# What a convolution may end with: the activation, and between what its values
# lie, which is all that it does.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], float, float]] = {
  "none": (lambda x: x, -math.inf, math.inf),
  "relu": (jax.nn.relu, 0.0, math.inf),
  "relu6": (jax.nn.relu6, 0.0, 6.0),
}


class Affine(NamedTuple):
  """An affine map of every channel, y -> (y - mean) * gain + bias.

  Fields: mean, gain, bias, float32 (c,).
  """

  mean: Array
  gain: Array
  bias: Array

  def __call__(self, y: Array) -> Array:
    """(b, h, w, c) -> the same, float32."""
    return (y - self.mean) * self.gain + self.bias


def unchanged(channels: int) -> Affine:
  """The affine map that does nothing."""
  zeros = jnp.zeros(channels)
  return Affine(zeros, zeros + 1, zeros)


def with_bias(bias: Array, affine: Affine | None = None) -> Affine:
  """The affine map behind an addition of `bias`, (c,)."""
  if affine is None:
    return Affine(jnp.zeros_like(bias), jnp.ones_like(bias), bias)
  return affine._replace(mean=affine.mean - bias)


def convolve(
  x: Array,
  kernel: Array,
  affine: Affine,
  act: str,
  stride: Pair,
  pads: tuple[Pair, Pair],
  dilation: Pair,
  groups: int,
) -> Array:
  """act(affine(convolution)), (b, h, w, in) -> (b, h', w', out).

  Args:
    x, kernel, stride, pads, dilation, groups: see `fastconv.convolve`.
    affine: of the output's channels.
    act: name in ACTIVATIONS.
  """
  rest = (stride, pads, dilation, groups)
  fits = direct.fits(x, kernel, stride, pads, groups, least_taps=1)
  if rows.split() or not fits:
    return _apart(act, rest, x, kernel, *affine)
  return _together(act, rest, x, kernel, *affine)


def _apart(act, rest, x, kernel, *affine):
  y = fastconv.convolve(x, kernel, *rest)
  return ACTIVATIONS[act][0](Affine(*affine)(y))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _together(act, rest, *arrays):
  together = functools.partial(
    direct.convolve,
    window=direct.Window(*rest[:3]),
    otherwise=(_apart, act, rest),
    bounds=ACTIVATIONS[act][1:],
  )
  apart = functools.partial(_apart, act, rest)
  return lax.platform_dependent(*arrays, cpu=together, default=apart)


def _forward(act, rest, *arrays):
  return jax.vjp(functools.partial(_apart, act, rest), *arrays)


def _backward(act, rest, gradients, dy):
  del act, rest
  return gradients(dy)


_together.defvjp(_forward, _backward)
