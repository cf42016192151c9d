"""What a network is made of: parameters, multiply-adds and shapes, per module.

Nothing is computed or compiled. Multiply-adds (MACs) are those of one image;
see `analysis.cost` for what is counted.
"""

from __future__ import annotations

from typing import Any

import jax
from rich.table import Table

from jaxseg import answer
from jaxseg.analysis import cost


def summarize(
  model: Any, task: Any, size: tuple[int, int], depth: int = 2
) -> tuple[Table, cost.Cost]:
  """A table of modules down to `depth`, and the counts behind it.

  Args:
    model: Linen module.
    task: what the model reads of a batch.
    size: (h, w) of the image.
    depth: levels of the module tree that have lines of their own.
  """
  inputs = answer.blank_inputs(task, size)
  counted = cost.count(model, *inputs)
  params = _parameters(model, inputs)
  groups: dict[str, list[Any]] = {}
  for row in counted.rows:
    groups.setdefault(_cut(row.path, depth), []).append(row)
  for path in params:
    groups.setdefault(_cut(path, depth), [])
  table = Table(
    title=f"{type(model).__name__} at {size[0]}x{size[1]}", title_justify="left"
  )
  table.add_column("module")
  for column in ("last output", "parameters", "MACs"):
    table.add_column(column, justify="right")
  for name, rows in groups.items():
    own = sum(n for path, n in params.items() if _cut(path, depth) == name)
    macs = sum(row.macs for row in rows)
    shape = "x".join(map(str, rows[-1].shape[1:])) if rows else ""
    table.add_row(name, shape, f"{own:,}" if own else "", f"{macs:,}")
  table.add_section()
  table.add_row("all", "", f"{counted.parameters:,}", f"{counted.macs:,}")
  return table, counted


def _cut(path: str, depth: int) -> str:
  """The module of `path` to tell of: a layer belongs to its block."""
  parts = path.split("/")
  return "/".join(parts[:-1][:depth]) or path


def _parameters(model: Any, inputs: Any) -> dict[str, int]:
  """Path of the module that owns it -> number of parameters."""

  def init(*inputs):
    return model.init(jax.random.key(0), *inputs, train=False)["params"]

  flat, _ = jax.tree_util.tree_flatten_with_path(jax.eval_shape(init, *inputs))
  out: dict[str, int] = {}
  for path, leaf in flat:
    owner = "/".join(str(k.key) for k in path[:-1])
    out[owner] = out.get(owner, 0) + leaf.size
  return out
