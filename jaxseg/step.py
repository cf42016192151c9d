"""The compiled train step: one function for every model and every task.

Losses travel as (total, count) and are divided once over the global batch.
With accumulation the counts of all micro-batches are taken first, so that the
gradient is that of the large batch whatever the masks. Two things see
micro-batches: BatchNorm, whose running statistics move once for each, and a
Dice loss that is not `image_wise`, whose sums run over a batch. A step whose
loss or gradient is not finite changes nothing and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxseg import remat as remat_lib
from jaxseg.state import State
from jaxseg.types import Batch, Mean, canonical

Logs = dict[str, Any]
TrainStep = Callable[[State, Batch], tuple[State, Logs]]


def _micro(batch: Batch, parts: int) -> Batch:
  """(b, ...) -> (parts, b / parts, ...): rows i, i + parts, ... together.

  Strided, so that each device keeps its own rows.
  """
  return jax.tree.map(
    lambda x: jnp.moveaxis(
      x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 1, 0
    ),
    batch,
  )


def make_train_step(
  model: Any,
  task: Any,
  tx: optax.GradientTransformation,
  schedule: Callable[[Any], Any],
  *,
  seed: int,
  accumulate: int = 1,
  ema_decay: float = 0.0,
  remat: str = "",
  gather: Callable[[Any], Any] | None = None,
) -> TrainStep:
  """(state, batch) -> (state, logs); to be jitted, state donated.

  Args:
    model: Linen module, called model(*inputs, train=True) -> dict of heads.
    task: types.Task.
    tx: optimizer.
    schedule: step -> learning rate, for the logs.
    seed: of dropout and of the task's noise; folded with the step.
    accumulate: micro-batches per step; divides the batch.
    ema_decay: of the averaged parameters; 0: none.
    remat: stages that are computed again; see `remat.selector`.
    gather: of parameters that are spread over devices, where they are used;
      see mesh.gather.

  Returns:
    logs: loss, one entry per term, grad_norm, lr, finite (bool).
  """

  def forward(params, model_state, batch, key):
    key_prepare, key_dropout = jax.random.split(key)
    batch = task.prepare(batch, key_prepare)
    params = gather(params) if gather else params
    with remat_lib.rematerialized(remat):
      out, updated = model.apply(
        {"params": params, **model_state},
        *task.inputs(batch),
        train=True,
        rngs={"dropout": key_dropout},
        mutable=list(model_state),
      )
    return task.loss(out, batch), updated

  def total_loss(params, model_state, batch, key, counts):
    terms, updated = forward(params, model_state, batch, key)
    shares = {
      name: Mean(mean.total, counts[name] if counts else mean.count).compute()
      for name, mean in terms.items()
    }
    return sum(shares.values()), (shares, updated)

  grad_fn = jax.value_and_grad(total_loss, has_aux=True)

  def gradients(state, batch, key):
    """One pass per micro-batch; loss terms, gradients, model state."""
    if accumulate == 1:
      (_, (terms, updated)), grads = grad_fn(
        state.params, state.model_state, batch, key, None
      )
      return terms, grads, updated
    parts = _micro(batch, accumulate)
    keys = jax.random.split(key, accumulate)

    def count(part):  # of the labels alone: its network is dead code
      terms, _ = forward(state.params, state.model_state, *part)
      return {
        name: jnp.asarray(mean.count, jnp.float32)
        for name, mean in terms.items()
      }

    counts = jax.tree.map(lambda x: x.sum(0), jax.lax.map(count, (parts, keys)))

    def one(carry, part):
      grads, model_state = carry
      (_, (terms, updated)), g = grad_fn(
        state.params, model_state, *part, counts
      )
      return (jax.tree.map(jnp.add, grads, g), updated), terms

    zeros = jax.tree.map(jnp.zeros_like, state.params)
    (grads, updated), terms = jax.lax.scan(
      one, (zeros, state.model_state), (parts, keys)
    )
    return jax.tree.map(lambda x: x.sum(0), terms), grads, updated

  def step(state: State, batch: Batch) -> tuple[State, Logs]:
    batch = canonical(batch)
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    terms, grads, model_state = gradients(state, batch, key)
    loss = sum(terms.values())
    norm = optax.tree.norm(grads)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if ema_decay:
      # Young averages follow faster: decay min(d, (1 + n) / (10 + n)).
      n = state.step.astype(jnp.float32)
      decay = jnp.minimum(ema_decay, (1 + n) / (10 + n))
      ema = jax.tree.map(
        lambda old, new: decay * old + (1 - decay) * new,
        state.ema,
        {"params": params, "model_state": model_state},
      )
    new = State(state.step + 1, params, model_state, opt_state, ema)
    # A broken step leaves everything as it was: what is saved stays good.
    new = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state)
    logs = {
      "loss": loss,
      **(terms if len(terms) > 1 else {}),
      "grad_norm": norm,
      "lr": schedule(state.step),
      "finite": finite,
    }
    return new, logs

  return step
