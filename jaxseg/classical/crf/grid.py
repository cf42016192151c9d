"""Random fields on the pixel grid: contrast-sensitive Potts edges, and ICM.

A grid's edges are maps: weights[..., y, x, m] is that of the pixel (y, x) and
the one OFFSETS[m] away, 0 where that is outside. Boykov, Jolly, "Interactive
graph cuts" (2001): lambda exp(-|dI|^2 / 2 sigma^2) / distance, with sigma^2 the
mean of |dI|^2 over the image unless given (Rother, Kolmogorov, Blake,
"GrabCut", 2004). ICM: Besag, "On the statistical analysis of dirty pictures"
(1986); here whole sets of pixels that do not touch each other at once.
Exact and nearly exact optima are in `cuts`, which `edges` feeds.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.types import Array, UserError

OFFSETS = {
  4: ((0, 1), (1, 0)),
  8: ((0, 1), (1, 0), (1, 1), (1, -1)),
}


def contrast_weights(
  image: Array,
  strength: float = 1.0,
  deviation: float | None = None,
  neighbours: int = 8,
) -> Array:
  """Weights of the edges of a picture, small where neighbours differ.

  Args:
    image: (b, h, w, c), any unit.
    strength: of an edge between equal pixels.
    deviation: sigma, in the image's unit; None: each image's own.
    neighbours: 4 or 8.

  Returns:
    float32 (b, h, w, 2 or 4).

  Raises:
    UserError: other neighbourhoods, a deviation that is not positive.
  """
  if neighbours not in OFFSETS:
    raise UserError(f"neighbours = {neighbours}: expected 4 or 8.")
  if deviation is not None and not deviation > 0:
    raise UserError(f"deviation = {deviation}: expected more than 0.")
  image = jnp.asarray(image, jnp.float32)
  offsets = OFFSETS[neighbours]
  inside = jnp.ones((1, *image.shape[1:3]), jnp.float32)
  exists = jnp.stack([shifted(inside, *o) for o in offsets], -1)
  squares = jnp.stack(
    [((shifted(image, *o) - image) ** 2).sum(-1) for o in offsets], -1
  )  # (b, h, w, m)
  squares = jnp.where(exists > 0, squares, 0.0)
  if deviation is None:
    count = jnp.maximum(exists.sum(), 1.0)
    variance = squares.sum((1, 2, 3), keepdims=True) / count
    variance = jnp.where(variance > 0, variance, 1.0)
  else:
    variance = deviation**2
  far = jnp.asarray([np.hypot(*o) for o in offsets], jnp.float32)
  return strength * jnp.exp(-squares / (2 * variance)) / far * exists


def shifted(x: Array, dy: int, dx: int) -> Array:
  """(b, h, w, ...) -> at (y, x) what is at (y + dy, x + dx); 0 outside."""
  h, w = x.shape[1:3]
  rest = [(0, 0)] * (x.ndim - 3)
  pads = [(0, 0), (max(-dy, 0), max(dy, 0)), (max(-dx, 0), max(dx, 0)), *rest]
  x = jnp.pad(x, pads)
  y_at, x_at = max(dy, 0), max(dx, 0)
  return x[:, y_at : y_at + h, x_at : x_at + w]


def edges(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The edges of one grid as a list, NumPy.

  Args:
    weights: (h, w, m).

  Returns:
    pairs int (e, 2) of pixels y w + x, and their weights float64 (e,).
  """
  weights = np.asarray(weights, np.float64)
  h, w, m = weights.shape
  index = np.arange(h * w).reshape(h, w)
  pairs, values = [], []
  for at, (dy, dx) in enumerate(OFFSETS[2 * m]):
    left, right = max(-dx, 0), w - max(dx, 0)
    here = (slice(0, h - dy), slice(left, max(right, left)))
    there = index[dy:, max(dx, 0) : max(w + min(dx, 0), max(dx, 0))]
    pairs.append(np.stack([index[here].ravel(), there.ravel()], -1))
    values.append(weights[(*here, at)].ravel())
  return np.concatenate(pairs), np.concatenate(values)


def agreement(labels: Array, weights: Array, classes: int) -> Array:
  """Weight of the neighbours that say each class, (b, h, w, classes)."""
  votes = jax.nn.one_hot(labels, classes, dtype=jnp.float32)
  total = jnp.zeros_like(votes)
  for at, (dy, dx) in enumerate(OFFSETS[2 * weights.shape[-1]]):
    weight = weights[..., at : at + 1]
    total += weight * shifted(votes, dy, dx)
    total += shifted(weight * votes, -dy, -dx)
  return total


def icm(
  unary: Array, weights: Array, labels: Array | None = None, sweeps: int = 20
) -> Array:
  """Iterated conditional modes: each pixel takes its best label in turn.

  The energy sum_i unary_i(x_i) + sum of the weights of edges whose ends differ
  never rises; it ends where no single pixel can lower it, or after `sweeps`.

  Args:
    unary: (b, h, w, k) energies.
    weights: (b, h, w, m), from contrast_weights.
    labels: int (b, h, w) to start from; None: the least unary energies.
    sweeps: at most so many times over the image.

  Returns:
    int32 (b, h, w).
  """
  unary = jnp.asarray(unary, jnp.float32)
  h, w, k = unary.shape[1:]
  start = jnp.argmin(unary, -1) if labels is None else labels
  start = jnp.asarray(start, jnp.int32)
  # Pixels of one parity touch none of their own: two or four parities.
  y, x = jnp.arange(h)[:, None], jnp.arange(w)[None]
  four = weights.shape[-1] == 2
  colour = (y + x) % 2 if four else 2 * (y % 2) + x % 2
  parities = 2 if four else 4

  def sweep(state):
    labels, _, count = state
    new = labels
    for parity in range(parities):
      best = jnp.argmin(unary - agreement(new, weights, k), -1)
      new = jnp.where(colour == parity, best.astype(jnp.int32), new)
    return new, (new != labels).any(), count + 1

  def unfinished(state):
    return state[1] & (state[2] < sweeps)

  return lax.while_loop(unfinished, sweep, (start, jnp.bool_(True), 0))[0]
