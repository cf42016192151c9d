"""Training examples that keep only a share of their truth.

For several tasks on one network, not every example needs the truth of every
task. Which examples keep a field is a function of (seed, field, example), so
that it is the same in every epoch, on every host and after a restart.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from jaxseg.types import IGNORE, UserError


def parse(keep: object, fields: tuple[str, ...]) -> dict[str, float]:
  """config.data.keep as {field: share}.

  Args:
    keep: ((field, share), ...).
    fields: those that the task reads.

  Raises:
    UserError: a field that the task does not read, or a share outside (0, 1].
  """
  try:
    shares = {str(key): float(share) for key, share in keep}
  except (TypeError, ValueError):
    raise UserError(
      f"config.data.keep = {keep}: expected pairs of a field and a share, such "
      "as (('depth', 0.5),)."
    ) from None
  for key, share in shares.items():
    if key not in fields:
      raise UserError(
        f"config.data.keep names {key!r}, which the task does not read: "
        f"expected some of {', '.join(fields)}."
      )
    if not 0 < share <= 1:
      raise UserError(
        f"config.data.keep: {share:g} of {key!r} is no share: expected more "
        "than 0, at most 1."
      )
  return shares


def withhold(
  fields: dict[str, np.ndarray],
  index: int,
  shares: Mapping[str, float],
  seed: int,
) -> dict[str, np.ndarray]:
  """Fields with `_has_FIELD` beside each of `shares`; what is lacking is void.

  Args:
    fields: of one example.
    index: of the example in its split.
    shares: field -> share of the examples that keep it.
    seed: of the choice.
  """
  out = dict(fields)
  for key, share in shares.items():
    rng = np.random.default_rng([seed, zlib.crc32(key.encode()), index])
    has = rng.random() < share
    out[f"_has_{key}"] = np.bool_(has)
    if not has:  # nobody can learn from it by mistake
      void = IGNORE if key in ("label", "boundary", "region") else 0
      out[key] = np.full_like(fields[key], void)
  return out
