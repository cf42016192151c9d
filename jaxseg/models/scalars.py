"""A network with numbers beside it that are trained with it.

Some losses have parameters of their own: the weights of several tasks
(`tasks.multi`). They live with the network's, so that the optimizer, the
checkpoint and the average know them without being told; the network's own
parameters keep their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from flax.core import FrozenDict

from jaxseg.types import Array


class WithScalars(nn.Module):
  """The outputs of a network and, in training, vectors of parameters.

  Args:
    network: any network of the house.
    scalars: name -> how many numbers; they start at 0.
  """

  network: nn.Module
  scalars: Mapping[str, int]

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "scalars", FrozenDict(self.scalars))
    super().__post_init__()

  def setup(self) -> None:
    """The network's parameters keep the names that they have alone."""
    nn.share_scope(self, self.network)

  @nn.compact
  def __call__(self, *inputs: Any, train: bool) -> dict[str, Array]:
    """What the network says; with `train` also {name: float32 (n,)}."""
    out = dict(self.network(*inputs, train=train))
    held = {
      name: self.param(name, nn.initializers.zeros, (n,))
      for name, n in sorted(self.scalars.items())
    }
    return out | held if train else out
