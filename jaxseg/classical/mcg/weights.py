"""What was learned for the scales: their weights, and how long lists are.

Learned on seven pictures of BSDS500's train split by `python -m
benchmarks.mcg_fit --every=33`, which also wrote forest.npz (32 trees, 23,115
proposals). Of the choices on the Pareto front that with 3,000 proposals before
duplicates are dropped is taken: the mean best overlap with the regions of at
least 100 pixels that people drew was 0.646 (MCG) and 0.586 (SCG) there. Tuples
have little part in MCG's: what people drew are mostly regions of some scale,
where the paper's lists were chosen for whole objects (PASCAL).
"""

from __future__ import annotations

FINE_TO_COARSE = (2.0, 1.0, 0.5)
# Of scales: their weights in the hierarchy of all of them.
MIX: dict[tuple[float, ...], tuple[float, ...]] = {
  FINE_TO_COARSE: (0.492, 0.186, 0.322),
}
# Of scales: for each hierarchy (of every scale, and of all) how many regions,
# pairs, triplets and 4-tuples are taken.
COUNTS: dict[tuple[float, ...], tuple[tuple[int, ...], ...]] = {
  FINE_TO_COARSE: (
    (800, 0, 0, 0),
    (1600, 25, 25, 0),
    (400, 0, 0, 0),
    (100, 25, 0, 25),
  ),
  (1.0,): ((1600, 800, 400, 200),),
}
OTHERWISE = (400, 400, 200, 200)


def mix(scales: tuple[float, ...]) -> tuple[float, ...]:
  """The weights of the scales; equal ones for scales of which none is known."""
  return MIX.get(tuple(scales), (1.0,) * len(scales))


def counts(scales: tuple[float, ...]) -> tuple[tuple[int, ...], ...]:
  """The lengths of the lists of each hierarchy; see `COUNTS`."""
  hierarchies = 1 if len(scales) == 1 else len(scales) + 1
  return COUNTS.get(tuple(scales), (OTHERWISE,) * hierarchies)
