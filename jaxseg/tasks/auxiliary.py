"""Auxiliary heads: the loss of the main one again, with a weight.

PSPNet (Zhao et al. 2016, arXiv:1612.01105, section 3.3) trains a second
classifier on an earlier stage; a network names such heads 'aux', 'aux_2' ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jaxseg.types import Array, Outputs


class Head(NamedTuple):
  """Attributes:
  values: what the network put out there.
  weight: of its losses; 1 for the main head.
  prefix: of their names; '' for the main head, 'aux/' for 'aux'.
  """

  values: Array
  weight: float
  prefix: str


def heads(out: Outputs, main: str, weight: float) -> Iterator[Head]:
  """The head `main` and the auxiliary ones of it, in the order of `out`.

  Args:
    out: head name -> output; heads of other names are passed over.
    main: name of the main head.
    weight: of auxiliary heads.
  """
  for name, values in out.items():
    if name == main:
      yield Head(values, 1.0, "")
    elif name.startswith("aux"):
      yield Head(values, weight, f"{name}/")
