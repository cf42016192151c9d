"""Parameters and multiply-adds of any Linen model, without compiling it.

A multiply-add (MAC) counts as one; bias, normalisation, activation, pooling
and resizing by shifts count nothing, as in most published tables.

The house's convolutions are counted as the mathematical operation, whatever
faster form computes them: while the model is traced on shapes, a call of
`layers.Conv` or `layers.ConvTranspose` (or Linen's own) is written down and
replaced by zeros of its shape. What is left, einsums and convolutions called
directly, is counted as the operations that the jaxpr holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.extend import core

from jaxseg import layers

OTHER = "(other)"


class Row(NamedTuple):
  """One counted call.

  Fields: path of the module ('down0/conv', or '(other)' for operations outside
  of modules); operation; output shape; parameters; macs.
  """

  path: str
  operation: str
  shape: tuple[int, ...]
  parameters: int
  macs: int


class Cost(NamedTuple):
  """What one application of a model costs.

  Fields: parameters, trainable numbers; state, further numbers such as running
  statistics; macs; activations, numbers in the outputs of all rows; rows.
  """

  parameters: int
  state: int
  macs: int
  activations: int
  rows: tuple[Row, ...]


def count(model: nn.Module, *inputs: Any, **options: Any) -> Cost:
  """Counts `model(*inputs, **options)`; `train=False` unless given.

  Args:
    model: a Linen module.
    inputs: arrays or `jax.ShapeDtypeStruct`; the batch multiplies the MACs.
    options: further arguments of its `__call__`.
  """
  options = {"train": False, **options}
  inputs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs]
  key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
  variables = jax.eval_shape(
    lambda key, *x: model.init(key, *x, **options), key, *inputs
  )
  rows: list[Row] = []

  def write_down(call, args, kwargs, context):
    module = context.module
    known = isinstance(module, _COUNTED) and context.method_name == "__call__"
    if not known:
      return call(*args, **kwargs)
    out = jax.eval_shape(lambda: call(*args, **kwargs))
    size = sum(
      x.size for x in jax.tree.leaves(module.variables.get("params", {}))
    )
    rows.append(
      Row(
        "/".join(module.path),
        type(module).__name__,
        out.shape,
        size,
        _module_macs(module, args[0].shape, out.shape),
      )
    )
    return jnp.zeros(out.shape, out.dtype)

  def apply(variables, *inputs):
    with nn.intercept_methods(write_down):
      return model.apply(variables, *inputs, **options)

  jaxpr = jax.make_jaxpr(apply)(variables, *inputs)
  rows += [
    Row(OTHER, name, shape, 0, macs) for name, shape, macs in _walk(jaxpr.jaxpr)
  ]
  numbers = {
    name: sum(x.size for x in jax.tree.leaves(tree))
    for name, tree in variables.items()
  }
  parameters = numbers.pop("params", 0)
  return Cost(
    parameters,
    sum(numbers.values()),
    sum(row.macs for row in rows),
    sum(math.prod(row.shape) for row in rows),
    tuple(rows),
  )


_COUNTED = (layers.Conv, layers.ConvTranspose, nn.Dense, nn.Conv)


def _module_macs(module: nn.Module, x: tuple, y: tuple) -> int:
  """From the shapes of input and output."""
  if isinstance(module, nn.Dense):
    return math.prod(y) * x[-1]
  if isinstance(module, layers.ConvTranspose):
    # Every input pixel paints one stamp.
    return math.prod(x) * module.kernel**2 * y[-1]
  if isinstance(module, layers.Conv):
    taps, groups = module.kernel**2, module.groups or x[-1]
  else:
    size = module.kernel_size
    taps = size if isinstance(size, int) else math.prod(size)
    groups = module.feature_group_count
  return math.prod(y) * taps * x[-1] // groups


def function_macs(function: Any, *inputs: Any) -> int:
  """MACs of the convolutions and dots in any function's jaxpr.

  A loop counts as often as it runs where that is known (scan), once where not
  (while); of the branches of a condition the dearest counts.
  """
  jaxpr = jax.make_jaxpr(function)(*inputs)
  return sum(macs for _, _, macs in _walk(jaxpr.jaxpr))


def _walk(
  jaxpr: core.Jaxpr, times: int = 1
) -> Iterator[tuple[str, tuple[int, ...], int]]:
  """(name, output shape, MACs) of every convolution and dot."""
  for eqn in jaxpr.eqns:
    name = eqn.primitive.name
    if name == "conv_general_dilated":
      yield name, eqn.outvars[0].aval.shape, times * _conv_macs(eqn)
    elif name == "dot_general":
      yield name, eqn.outvars[0].aval.shape, times * _dot_macs(eqn)
    elif name == "cond":
      branches = [list(_walk(b.jaxpr, times)) for b in eqn.params["branches"]]
      yield from max(branches, key=lambda rows: sum(r[2] for r in rows))
    else:
      more = eqn.params["length"] if name == "scan" else 1
      for inner in _inner(eqn):
        yield from _walk(inner, times * more)


def _inner(eqn: core.JaxprEqn) -> Iterator[core.Jaxpr]:
  for value in eqn.params.values():
    if isinstance(value, core.ClosedJaxpr):
      yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
      yield value


def _conv_macs(eqn: core.JaxprEqn) -> int:
  """Zeros between dilated input pixels are not multiplied."""
  x, kernel = (v.aval.shape for v in eqn.invars)
  y = eqn.outvars[0].aval.shape
  numbers = eqn.params["dimension_numbers"]
  out_channels = kernel[numbers.rhs_spec[0]]
  per_output = math.prod(kernel) // out_channels
  dilated = math.prod(eqn.params["lhs_dilation"])
  if dilated == 1:
    return math.prod(y) * per_output
  return math.prod(x) * math.prod(kernel) // kernel[numbers.rhs_spec[1]]


def _dot_macs(eqn: core.JaxprEqn) -> int:
  (contract, _), _ = eqn.params["dimension_numbers"]
  x = eqn.invars[0].aval.shape
  return math.prod(eqn.outvars[0].aval.shape) * math.prod(
    x[axis] for axis in contract
  )
