"""Optimizers from plain values: schedule, decay mask, rates per path.

SGD with momentum, Adam and AdamW; learning rate constant, polynomial (Liu et
al. 2015, ParseNet, arXiv 1506.04579: lr0 (1 - i/N)^0.9), cosine (Loshchilov
and Hutter 2016, arXiv 1608.03983) or in steps, after a linear warm-up. Rules
(regular expression on 'a/b/kernel', factor) scale the rate of what they match;
factor 0 freezes it, and frozen parameters have no optimizer state. A third
entry is the number of steps for which it stays frozen; its moments are kept
meanwhile, so that it does not start with a leap.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import optax

from jaxseg.types import UserError

SCHEDULES = ("constant", "poly", "cosine", "step")
OPTIMIZERS = ("sgd", "adam", "adamw")


@dataclasses.dataclass(frozen=True)
class OptimOptions:
  """One optimizer; see the module.

  Attributes:
    name: 'sgd', 'adam' or 'adamw'.
    lr: the rate after the warm-up.
    schedule: 'constant', 'poly', 'cosine' or 'step'.
    warmup_steps: linear from 0; at most half of the run.
    power: of the polynomial.
    final_lr_ratio: the rate at the end, as a share of lr (poly, cosine).
    step_at: shares of the run at which the rate is multiplied by step_factor.
    step_factor: see step_at.
    momentum: of SGD; b1 of Adam.
    b2: of Adam.
    nesterov: for SGD.
    weight_decay: decoupled for AdamW, L2 (added to the gradient) for the
      others; kernels only unless decay_all.
    decay_all: decay biases and norms too.
    clip_norm: global norm that gradients are clipped to; 0: not.
    rules: ((regular expression, factor[, frozen steps]), ...); the first that
      matches counts.
  """

  name: str = "adamw"
  lr: float = 1e-3
  schedule: str = "cosine"
  warmup_steps: int = 0
  power: float = 0.9
  final_lr_ratio: float = 0.0
  step_at: tuple[float, ...] = (0.6, 0.8)
  step_factor: float = 0.1
  momentum: float = 0.9
  b2: float = 0.999
  nesterov: bool = False
  weight_decay: float = 1e-4
  decay_all: bool = False
  clip_norm: float = 0.0
  rules: tuple[tuple[str, float] | tuple[str, float, int], ...] = ()


def make_schedule(options: OptimOptions, steps: int) -> optax.Schedule:
  """Learning rate as a function of the step, reaching its end at `steps`."""
  if options.schedule not in SCHEDULES:
    raise UserError(
      f"config.optim.schedule = {options.schedule!r}: expected one of "
      f"{', '.join(SCHEDULES)}."
    )
  # A run cut short for a trial still gets past its warm-up.
  warm = min(options.warmup_steps, steps // 2)
  rest = max(steps - warm, 1)
  low = options.final_lr_ratio

  def rate(step):
    t = jnp.clip((step - warm) / rest, 0.0, 1.0)
    if options.schedule == "poly":
      factor = low + (1 - low) * (1 - t) ** options.power
    elif options.schedule == "cosine":
      factor = low + (1 - low) * 0.5 * (1 + jnp.cos(jnp.pi * t))
    elif options.schedule == "step":
      # Whole steps: a share compared in float32 comes a step late.
      at = [warm + math.ceil(share * rest - 1e-6) for share in options.step_at]
      done = sum((step >= a) * 1.0 for a in at)
      factor = options.step_factor**done
    else:
      factor = 1.0
    if warm:
      factor = jnp.where(step < warm, (step + 1) / (warm + 1), factor)
    return jnp.asarray(options.lr * factor, jnp.float32)

  return rate


def paths(params: Any) -> dict[str, Any]:
  """'a/b/kernel' -> leaf."""
  return flax.traverse_util.flatten_dict(params, sep="/")


def factors(params: Any, rules: Sequence[tuple]) -> dict[str, tuple]:
  """'a/b/kernel' -> (rate factor, steps for which it stays frozen).

  Raises:
    UserError: a rule that matches no parameter (a misspelt path), or a
      regular expression that cannot be read.
  """
  flat = paths(params)
  used = [False] * len(rules)
  out = {}
  for path in flat:
    out[path] = (1.0, 0)
    for i, (pattern, factor, *frozen) in enumerate(rules):
      try:
        hit = re.search(pattern, path)
      except re.error as e:
        raise UserError(f"config.optim.rules: {pattern!r}: {e}.") from e
      if hit:
        used[i] = True
        out[path] = (float(factor), int(frozen[0]) if frozen else 0)
        break
  for (pattern, *_), was_used in zip(rules, used):
    if not was_used:
      raise UserError(
        f"config.optim.rules: {pattern!r} decides for no parameter. The first "
        f"paths are {', '.join(list(flat)[:5])}."
      )
  return out


def _scaled(
  tx: optax.GradientTransformation, factor: float, frozen: int
) -> optax.GradientTransformation:
  """tx at another rate, that moves nothing in its first `frozen` steps."""
  if not factor:
    return optax.set_to_zero()
  if not frozen:
    return optax.chain(tx, optax.scale(factor))
  gate = optax.scale_by_schedule(
    lambda step: jnp.where(step < frozen, 0.0, factor)
  )
  return optax.chain(tx, gate)


def decay_mask(params: Any) -> Any:
  """True for kernels: biases, scales and other vectors do not decay."""
  return jax.tree.map(lambda p: p.ndim > 1, params)


def make_optimizer(
  options: OptimOptions, steps: int, params: Any
) -> optax.GradientTransformation:
  """The optax transformation of `options`.

  Args:
    options: see OptimOptions.
    steps: length of the run.
    params: the parameters or their shapes, for rules and masks.
  """
  if options.name not in OPTIMIZERS:
    raise UserError(
      f"config.optim.name = {options.name!r}: expected one of "
      f"{', '.join(OPTIMIZERS)}."
    )
  schedule = make_schedule(options, steps)
  mask = None if options.decay_all else decay_mask
  decay = optax.add_decayed_weights(options.weight_decay, mask)
  chain = []
  if options.name == "sgd":
    if options.weight_decay:
      chain.append(decay)
    if options.momentum:
      chain.append(optax.trace(options.momentum, options.nesterov))
  else:
    if options.weight_decay and options.name == "adam":
      chain.append(decay)
    chain.append(optax.scale_by_adam(options.momentum, options.b2))
    if options.weight_decay and options.name == "adamw":
      chain.append(decay)
  chain.append(optax.scale_by_learning_rate(schedule))
  tx = optax.chain(*chain)
  if options.rules:
    scale = factors(params, options.rules)
    labels = {path: f"x{f:g} from {n}" for path, (f, n) in scale.items()}
    transforms = {
      label: _scaled(tx, *scale[path]) for path, label in labels.items()
    }
    unflat = flax.traverse_util.unflatten_dict
    tx = optax.multi_transform(transforms, unflat(labels, sep="/"))
    if options.clip_norm:
      # The norm of what is trained: frozen gradients are left out of it.
      free = {path: f != 0 for path, (f, _) in scale.items()}
      free = unflat(free, sep="/")
      clip = optax.masked(optax.clip_by_global_norm(options.clip_norm), free)
      tx = optax.chain(clip, tx)
    return tx
  if options.clip_norm:
    tx = optax.chain(optax.clip_by_global_norm(options.clip_norm), tx)
  return tx
