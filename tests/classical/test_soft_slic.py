"""Soft SLIC: dense oracle, gradients, its limit, its losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxseg.classical import cells, connect, partition, slic, soft_slic
from tests import quick

SHAPE = (11, 14)
GRID = cells.grid(*SHAPE, 6)


def features(seed=0, shape=SHAPE):
  noise = np.random.default_rng(seed).normal(size=(*shape, 3))
  return ndimage.gaussian_filter(noise, (1, 1, 0)).astype(np.float32) * 3


def table(soft):
  """Q as a matrix, pixels by superpixels."""
  q = np.zeros((SHAPE[0] * SHAPE[1], GRID.count))
  share = cells.join(jnp.moveaxis(soft.share, 2, 0), GRID)
  own = np.asarray(cells.start(GRID)).ravel()
  for n, (dy, dx) in enumerate(cells.around(1)):
    r, c = own // GRID.columns + dy, own % GRID.columns + dx
    there = (r >= 0) & (r < GRID.rows) & (c >= 0) & (c < GRID.columns)
    mine = np.asarray(share[n]).ravel()
    assert (mine[~there] == 0).all()
    q[np.flatnonzero(there), (r * GRID.columns + c)[there]] = mine[there]
  return q


def test_the_same_with_matrices():
  x = features()
  soft = quick.jit(lambda x: soft_slic.soft_slic(x, GRID, rounds=3))(x)
  flat = x.reshape(-1, 3).astype(float)
  own = np.asarray(cells.start(GRID)).ravel()
  y, c = np.divmod(own, GRID.columns)
  gy, gc = np.divmod(np.arange(GRID.count), GRID.columns)
  near = np.maximum(abs(y[:, None] - gy), abs(c[:, None] - gc)) <= 1
  centres = np.stack([flat[own == k].mean(0) for k in range(GRID.count)])
  for _ in range(4):
    d = ((flat[:, None] - centres) ** 2).sum(-1)
    q = np.where(near, np.exp(-d), 0)
    q /= q.sum(1, keepdims=True)
    last, centres = centres, (q.T @ flat) / q.sum(0)[:, None]
  np.testing.assert_allclose(table(soft), q, atol=2e-6)
  np.testing.assert_allclose(
    np.asarray(soft.centres).reshape(-1, 3), last, atol=2e-6
  )
  # Reconstruction: columns of Q scaled to sum 1, then back by rows.
  values = features(1)
  got = quick.jit(lambda s, v: soft_slic.reconstruct(s, v, GRID))(soft, values)
  want = q @ ((q / q.sum(0)).T @ values.reshape(-1, 3))
  np.testing.assert_allclose(got, want.reshape(values.shape), atol=5e-6)
  np.testing.assert_array_equal(
    soft_slic.hard(soft, GRID), q.argmax(1).reshape(SHAPE)
  )


def test_gradients_are_those_of_finite_differences():
  """Along random directions, of both losses, through all rounds.

  The step is so small that no pixel's likeliest superpixel changes, where the
  second loss jumps.
  """
  label = np.random.default_rng(0).integers(0, 3, SHAPE)
  label[0, :3] = 255
  x = features()

  def loss(x):
    soft = soft_slic.soft_slic(x, GRID, rounds=3)
    a, n = soft_slic.label_loss(soft, label, 3, GRID)
    b, m = soft_slic.compactness_loss(soft, GRID)
    return a / n + b / m

  value = quick.jit(loss)
  labels = quick.jit(
    lambda x: soft_slic.hard(soft_slic.soft_slic(x, GRID, rounds=3), GRID)
  )
  slope = np.asarray(quick.jit(jax.grad(loss))(x))
  assert np.abs(slope).max() > 1e-4
  for seed in range(3):
    way = np.random.default_rng(seed).normal(size=x.shape).astype(np.float32)
    step = 3e-4
    ends = x + step * way, x - step * way
    np.testing.assert_array_equal(*map(labels, ends))
    want = (value(ends[0]) - value(ends[1])) / (2 * step)
    np.testing.assert_allclose((slope * way).sum(), want, rtol=0.03, atol=0.01)


def test_cold_it_is_a_step_of_slic():
  """Temperature to 0: labels and means of the round after the cells'."""
  shape = (33, 47)
  grid = cells.grid(*shape, 15)
  lab = 12 * features(2, shape)

  def soft(lab, rounds):
    x = soft_slic.scaled(lab, grid, place=1.0, colour=0.1)
    return soft_slic.soft_slic(x, grid, rounds=rounds, temperature=1e-6)

  for rounds in (0, 1, 4):
    got = quick.jit(lambda x, r=rounds: soft(x, r))(lab)
    want, _ = quick.jit(
      lambda x, r=rounds: slic.cluster(x, grid, rounds=r + 2)
    )(lab)
    np.testing.assert_array_equal(soft_slic.hard(got, grid), want)
  whole = connect.connect(np.asarray(want), 10)
  partition.validate(whole)


def test_losses_of_superpixels_that_are_the_cells():
  """Each pixel wholly in its own cell: what the losses are, by hand."""
  _, real = cells.split(jnp.zeros((*SHAPE, 1)), GRID)
  share = jnp.zeros((*real.shape[:2], 9, real.shape[2]))
  share = share.at[:, :, 0].set(real)
  soft = soft_slic.Soft(share, jnp.zeros((*real.shape[:2], 1)))
  own = np.asarray(cells.start(GRID))
  total, count = soft_slic.compactness_loss(soft, GRID)
  place = np.stack(np.mgrid[: SHAPE[0], : SHAPE[1]], -1)
  spread = sum(
    ((place[own == k] - place[own == k].mean(0)) ** 2).sum()
    for k in range(GRID.count)
  )
  assert count == own.size
  np.testing.assert_allclose(total, spread, rtol=1e-5)
  label = own % 2  # whole superpixels: nothing is lost
  total, count = soft_slic.label_loss(soft, label, 2, GRID)
  np.testing.assert_allclose(total, 0, atol=1e-4)
  mixed = label.copy()
  first = np.argwhere(own == 0)
  mixed[tuple(first[0])] = 255
  mixed[tuple(first[1])] = 1 - label[0, 0]
  total, count = soft_slic.label_loss(soft, mixed, 2, GRID)
  n = len(first) - 1  # one is ignored
  want = -(n - 1) * np.log((n - 1) / n) - np.log(1 / n)
  assert count == own.size - 1
  np.testing.assert_allclose(total, want, rtol=1e-4)
  total, count = soft_slic.label_loss(soft, np.full(SHAPE, 255), 2, GRID)
  assert total == 0
  assert count == 0


@pytest.mark.parametrize("far", [6.0, 8.0, 9.3, 20.0])
def test_gradients_where_a_superpixel_is_left_by_all_its_pixels(far):
  """A cell half like its left neighbour and half like its right one: nobody
  stays in it, by 1e-16 to 1e-174, whose squares are no float32."""
  way = np.where(np.arange(12) < 6, far, -far)
  features = np.broadcast_to(way[None, :, None], (4, 12, 1)).astype(np.float32)
  grid = cells.Grid(1, 3, 4, 12, 4)
  label = (way < 0)[None].repeat(4, 0).astype(np.int32)

  @jax.jit
  def total(features):
    soft = soft_slic.soft_slic(features, grid)
    loss, pixels = soft_slic.label_loss(soft, label, 2, grid)
    return loss / pixels + soft_slic.compactness_loss(soft, grid)[0]

  value, slope = jax.value_and_grad(total)(features)
  assert np.isfinite(value)
  assert np.isfinite(slope).all()
