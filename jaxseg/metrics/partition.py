"""How good the regions of a set of pictures are, as one metric of the house.

See `contingency` and `superpixels` for the measures and their papers. Ids are
names of regions within one picture, so that the tables of two pictures cannot
be added: measures of pairs and of information are means over pictures, as the
benchmarks have them; those that count pixels are sums over the set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import contingency as tables
from jaxseg.metrics import exact, superpixels

Array = jax.Array

MEANS = (  # over pictures
  "vi",
  "vi_split",
  "vi_merge",
  "rand",
  "adapted_rand_error",
  "covering",
  "segments",
)
RATIOS = ("asa", "undersegmentation_error", "boundary_recall")  # of pixels


class State(NamedTuple):
  """Sums of totals and of counts, one of each for every measure."""

  total: exact.Sums
  count: exact.Sums
  unknown: exact.Counts  # pixels of true and of predicted ids beyond the tables


def _picture(truth, segments, radius, regions, limit, ignore):
  """Totals and counts of one picture, in the order of MEANS + RATIOS."""
  known = jnp.ones(truth.shape, bool) if ignore is None else truth != ignore
  table = tables.contingency(truth, segments, regions, limit, known)
  split, merge = tables.variation_of_information(table)
  means = [
    split + merge,
    split,
    merge,
    tables.rand_index(table),
    tables.adapted_rand(table)["error"],
    tables.covering(table),
    jnp.sum(table.sum(0) > 0, dtype=jnp.float32),
  ]
  pixels = jnp.sum(table)
  some = pixels > 0
  found, true = superpixels.boundary_recall(
    truth, segments, radius=radius, valid=known
  )
  asa = tables.achievable_accuracy(table) * pixels
  leak = tables.undersegmentation_error(table) * pixels
  totals = jnp.stack([*means, asa, leak, found])
  counts = jnp.stack([some.astype(jnp.float32)] * len(means) + [pixels] * 2)
  counts = jnp.concatenate([counts, true[None]])
  beyond = [
    jnp.sum(known & ((truth < 0) | (truth >= regions))),
    jnp.sum((segments < 0) | (segments >= limit)),
  ]
  # One pixel has no pairs, no pixel nothing: NaN, which does not count.
  known = ~jnp.isnan(totals)
  return (
    jnp.where(known, totals, 0.0),
    jnp.where(known, counts, 0.0),
    jnp.stack(beyond).astype(jnp.uint32),
  )


def partition(
  regions: int,
  segments: int,
  *,
  radius: float = 2.0,
  ignore: int | None = types.IGNORE,
) -> types.Metric:
  """pred['segments'] against batch['label'], both (b, h, w) int region ids.

  Result: means over pictures 'vi' (bits), its parts 'vi_split' and 'vi_merge',
  'rand', 'adapted_rand_error', 'covering' (of the truth), 'segments' (how
  many); of all pixels 'asa', 'undersegmentation_error' and, of the true
  boundary pixels, 'boundary_recall'. NaN where nothing counted.

  Args:
    regions: true ids are 0 .. regions - 1.
    segments: predicted ids are 0 .. segments - 1.
    radius: of boundary recall, in pixels.
    ignore: true id that does not count.

  Raises:
    UserError: (result) ids beyond these.
  """
  names = MEANS + RATIOS

  def init() -> State:
    # Buffers of their own each: an evaluation gives them away.
    total, count = (exact.zero_sums((len(names),)) for _ in range(2))
    return State(total, count, exact.zero_counts((2,)))

  def update(
    state: State, pred: Mapping[str, Array], batch: types.Batch
  ) -> State:
    said = pred["segments"].astype(jnp.int32)
    label = batch["label"].astype(jnp.int32)

    def one(pair):
      return _picture(*pair, radius, regions, segments, ignore)

    totals, counts, beyond = jax.vmap(lambda *pair: one(pair))(label, said)
    real = batch.get("_mask")
    real = jnp.ones(len(label), bool) if real is None else real.astype(bool)
    keep = real[:, None]
    return State(
      exact.add_sums(state.total, jnp.where(keep, totals, 0).sum(0)),
      exact.add_sums(state.count, jnp.where(keep, counts, 0).sum(0)),
      exact.add_counts(
        state.unknown, jnp.where(keep, beyond, 0).sum(0, dtype=jnp.uint32)
      ),
    )

  def result(state: State) -> dict[str, float]:
    for what, limit, pixels in zip(
      ("labels", "segments"),
      (regions, segments),
      exact.read_counts(state.unknown),
    ):
      if pixels:
        raise types.UserError(
          f"{int(pixels)} pixels of the {what} have an id beyond the {limit}"
          f" (0 to {limit - 1}) that were allowed for; number the regions of"
          " each picture from 0, or allow for more."
        )
    total, count = exact.read_sums(state.total), exact.read_sums(state.count)
    nan = np.full(len(names), np.nan)
    means = np.divide(total, count, out=nan, where=count > 0)
    return {name: float(x) for name, x in zip(names, means)}

  return types.Metric(init, update, result)
