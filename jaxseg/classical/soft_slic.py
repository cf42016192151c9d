"""Differentiable SLIC: the superpixel layer of Jampani, Sun, Liu, Yang, Kautz,
"Superpixel sampling networks", ECCV 2018 (arXiv 1807.10174), and its losses.

A pixel with features F_p belongs to each of the nine superpixels i around it by
Q_pi = softmax_i(-|F_p - S_i|^2 / t), and S_i is the mean of F weighted by Q; a
few rounds of both. Everything is differentiable in F, which a network may have
made. As the temperature t goes to 0, Q becomes SLIC's assignment; the paper's t
is 1, features carrying the scale.

Runs under jit for one picture, for a batch by vmap. Superpixels start as the
means of their cells, see `cells`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseg.classical import cells as grids
from jaxseg.classical import slic

Array = jax.Array


class Soft(NamedTuple):
  """Soft superpixels; pixels are kept by cell, see `cells.split`."""

  share: Array  # (rows, columns, 9, p), sums to 1 over the nine; 0: no pixel
  centres: Array  # (rows, columns, c)


def _with_ones(features: Array, cells: grids.Grid):
  ones = jnp.ones_like(features[..., :1])
  joint = jnp.concatenate([features, ones], -1).astype(jnp.float32)
  return grids.split(joint, cells)


def distances(blocks: Array, centres: Array) -> Array:
  """(rows, columns, 9, p): |F_p - S_i|^2, infinite outside the grid.

  Args:
    blocks: (rows, columns, c, p).
    centres: (rows, columns, c).
  """
  near = grids.near(centres, 0.0)  # (9, rows, columns, c)
  far = [jnp.sum((blocks - centre[..., None]) ** 2, 2) for centre in near]
  there = grids.near(jnp.ones(centres.shape[:2]), 0.0) > 0
  there = jnp.moveaxis(there, 0, -1)[..., None]
  return jnp.where(there, jnp.stack(far, 2), jnp.inf)


def assign(
  blocks: Array, real: Array, centres: Array, temperature: float = 1.0
) -> Array:
  """Q, (rows, columns, 9, p): softmax of minus the distances.

  Args:
    blocks: (rows, columns, c, p).
    real: bool (rows, columns, p); others have Q = 0.
    centres: (rows, columns, c).
    temperature: t, above 0.
  """
  q = jax.nn.softmax(-distances(blocks, centres) / temperature, 2)
  return q * real[..., None, :]


def soft_slic(
  features: Array,
  cells: grids.Grid,
  *,
  rounds: int = 5,
  temperature: float = 1.0,
) -> Soft:
  """Soft superpixels of one picture.

  Args:
    features: (h, w, c) float, such as scaled place and Lab (see `scaled`).
    cells: the grid.
    rounds: of means and assignments.
    temperature: t.
  """
  blocks, real = _with_ones(features, cells)
  plain = blocks[:, :, :-1]
  shape = (cells.rows, cells.columns)
  own = jnp.zeros((*shape, 9, real.shape[-1])).at[..., 0, :].set(real)
  centres = slic.means(blocks, own, jnp.zeros((*shape, features.shape[-1])))

  def one(centres, _):
    share = assign(plain, real, centres, temperature)
    return slic.means(blocks, share, centres), None

  centres, _ = jax.lax.scan(one, centres, None, rounds)
  return Soft(assign(plain, real, centres, temperature), centres)


def scaled(
  lab: Array, cells: grids.Grid, *, place: float = 2.5, colour: float = 0.26
) -> Array:
  """(h, w, 5): place times `place` over S, and Lab times `colour`.

  The paper's constants, with S the side of a cell in place of its rule for
  cells of different height and width.

  Args:
    lab: (h, w, 3).
    cells: the grid.
    place: its factor; that of SLIC with compactness m is 1.
    colour: its factor; that of SLIC is 1 / m.
  """
  at = grids.positions(cells) * (place / cells.step)
  return jnp.concatenate([at, colour * lab], -1)


def hard(soft: Soft, cells: grids.Grid) -> Array:
  """int32 (h, w): the superpixel of the largest Q; may be in pieces.

  `connect.connect` makes each one piece.
  """
  which = soft.share.argmax(2)  # (rows, columns, p)
  ids = jnp.arange(cells.count).reshape(cells.rows, cells.columns)
  ids = jnp.moveaxis(grids.near(ids, 0), 0, -1)
  ids = jnp.take_along_axis(ids, which, -1)
  return grids.join(ids, cells).astype(jnp.int32)


def reconstruct(soft: Soft, values: Array, cells: grids.Grid) -> Array:
  """R* = Q~ Q^T R, (h, w, c): to superpixels by their means, and back by Q.

  Args:
    soft: the superpixels.
    values: (h, w, c) R, such as one-hot labels or colours.
    cells: the grid.
  """
  blocks, _ = _with_ones(values, cells)
  before = jnp.zeros((cells.rows, cells.columns, values.shape[-1]))
  near = grids.near(slic.means(blocks, soft.share, before), 0.0)
  back = jnp.einsum("nyxc,yxnp->cyxp", near, soft.share)
  return jnp.moveaxis(grids.join(back, cells), 0, -1)


def label_loss(
  soft: Soft, label: Array, classes: int, cells: grids.Grid, ignore: int = 255
) -> tuple[Array, Array]:
  """Cross-entropy of the labels with their reconstruction: total, pixels.

  Args:
    soft: the superpixels.
    label: (h, w) int in 0 .. classes - 1, or `ignore`, which is no evidence
      for any class and does not count.
    classes: how many there are.
    cells: the grid.
    ignore: label that does not count.
  """
  valid = label != ignore
  truth = jax.nn.one_hot(jnp.where(valid, label, 0), classes)
  truth = truth * valid[..., None]
  said = reconstruct(soft, truth, cells)
  # What ignored pixels leave is shared out: a distribution over the classes.
  total = jnp.sum(said, -1, keepdims=True)
  said = said / jnp.where(total > slic.LEAST, total, 1.0)
  right = jnp.sum(said * truth, -1)
  loss = -jnp.log(jnp.maximum(jnp.where(valid, right, 1.0), 1e-8))
  return jnp.sum(loss), jnp.sum(valid, dtype=jnp.float32)


def compactness_loss(soft: Soft, cells: grids.Grid) -> tuple[Array, Array]:
  """|I_p - mean place of p's hard superpixel|^2: total, pixels.

  Means are weighted by Q, and are those of the likeliest superpixel, so that
  gradients go through the means alone, as in the paper. In pixels squared.

  Args:
    soft: the superpixels.
    cells: the grid.
  """
  blocks, real = _with_ones(grids.positions(cells), cells)
  shape = (cells.rows, cells.columns)
  middle = slic.means(blocks, soft.share, jnp.zeros((*shape, 2)))
  far = distances(blocks[:, :, :-1], middle)
  which = soft.share.argmax(2)[:, :, None]
  square = jnp.take_along_axis(far, which, 2)[:, :, 0]
  total = jnp.sum(jnp.where(real, square, 0.0))
  return total, jnp.sum(real, dtype=jnp.float32)
