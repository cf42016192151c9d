"""How safe chosen discs are by the truth, counted over a whole set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp

from jaxseg.applications import discs
from jaxseg.metrics import exact
from jaxseg.types import Array, Batch, Metric

COUNTS = (
  "landing_discs",
  "discs_safe",
  "landing_images",
  "images_found",
  "best_safe",
  "unsafe_pixels",
  "unsafe_missed",
)


def metric(
  unsafe: Sequence[bool],
  obstacles: Callable[[Mapping[str, Array]], Array],
  choose: Callable[[Array], discs.Discs],
  metres_per_pixel: float,
) -> Metric:
  """The shares of discs and images that a truth finds safe.

  Pixels of which the truth says nothing (255, what 'pad' adds among it) are
  obstacles here, so that every disc can be judged. Results: 'discs_safe', the
  share of the discs without a pixel that is unsafe by the truth; 'best_safe',
  the same of each image's first disc; 'images_found', the share of the images
  with a disc; 'unsafe_missed', the share of the unsafe pixels that were called
  safe; and 'landing_discs', 'landing_images', how many of each there were. A
  share of nothing is NaN.

  Args:
    unsafe: for each class.
    obstacles: prediction -> bool (b, g, h, w); see `landing.Landing`.
    choose: obstacles -> ranked discs (b, count).
    metres_per_pixel: of the pictures.
  """
  classes = len(unsafe)
  unsafe_ids = jnp.asarray([*unsafe, False])

  def update(
    state: exact.Counts, pred: Mapping[str, Array], batch: Batch
  ) -> exact.Counts:
    label = batch["label"]
    real = batch.get("_mask")
    real = jnp.ones(len(label), bool) if real is None else real.astype(bool)
    blocked = obstacles(pred)  # (b, g, h, w)
    known = (label >= 0) & (label < classes)
    missed = ~blocked[:, 0]
    blocked = blocked.at[:, 0].set(blocked[:, 0] | ~known)
    found = choose(blocked)
    wrong = unsafe_ids[jnp.where(known, label, classes)]
    area = discs.covers(found, label.shape[1:], metres_per_pixel)
    safe = ~(area & wrong[:, None]).any((-2, -1)) & found.found
    wrong &= real[:, None, None]
    there = found.found & real[:, None]
    counts = {
      "landing_discs": there,
      "discs_safe": safe & there,
      "landing_images": real,
      "images_found": there[:, 0],
      "best_safe": safe[:, 0] & there[:, 0],
      "unsafe_pixels": wrong,
      "unsafe_missed": wrong & missed,
    }
    sums = [jnp.sum(counts[name], dtype=jnp.uint32) for name in COUNTS]
    return exact.add_counts(state, jnp.stack(sums))

  def init() -> exact.Counts:
    return exact.zero_counts((len(COUNTS),))

  return Metric(init, update, _shares)


def _shares(state: exact.Counts) -> dict[str, float]:
  """Of what each count is a share."""
  n = dict(zip(COUNTS, map(float, exact.read_counts(state))))

  def share(name: str, of: str) -> float:
    return n[name] / n[of] if n[of] else float("nan")

  return {
    "discs_safe": share("discs_safe", "landing_discs"),
    "best_safe": share("best_safe", "images_found"),
    "images_found": share("images_found", "landing_images"),
    "unsafe_missed": share("unsafe_missed", "unsafe_pixels"),
    "landing_discs": n["landing_discs"],
    "landing_images": n["landing_images"],
  }
