"""The state of a training run: one pytree, all of it in a checkpoint."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp


class State(flax.struct.PyTreeNode):
  """All that a step changes.

  Attributes:
    step: number of steps done, int32 ().
    params: parameters of the model, float32.
    model_state: other collections, such as BatchNorm's running statistics.
    opt_state: the optimizer's.
    ema: averaged parameters and model state, or None.
  """

  step: jax.Array
  params: Any
  model_state: Any
  opt_state: Any
  ema: Any

  def variables(self, averaged: bool = True) -> dict[str, Any]:
    """What `model.apply` wants: averaged if there is an average."""
    if averaged and self.ema is not None:
      return {"params": self.ema["params"], **self.ema["model_state"]}
    return {"params": self.params, **self.model_state}


def create_state(
  model: Any, tx: Any, inputs: tuple[Any, ...], key: jax.Array, ema: bool
) -> State:
  """Initial state; to be jitted with its shardings.

  Args:
    model: the Linen module.
    tx: optax transformation.
    inputs: example inputs of the model; their values do not matter.
    key: PRNG key.
    ema: whether to keep averaged parameters.
  """
  variables = dict(model.init(key, *inputs, train=False))
  params = variables.pop("params")
  average = {"params": params, "model_state": variables} if ema else None
  return State(
    step=jnp.zeros((), jnp.int32),
    params=params,
    model_state=variables,
    opt_state=tx.init(params),
    # A copy: the step donates its state, and a buffer is donated only once.
    ema=jax.tree.map(jnp.copy, average),
  )


def count(tree: Any) -> int:
  """Number of scalars in a pytree of arrays or shapes."""
  return sum(int(x.size) for x in jax.tree.leaves(tree))
