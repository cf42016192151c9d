"""Devices as a mesh; batches split over it, everything else on all of it.

One `jit`ted step sees the global batch as one array: its statistics and its
loss are global without any collective in the code. On several hosts each
process brings its own rows.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxseg.types import UserError


def make_mesh(devices: int = 0) -> Mesh:
  """A mesh with one axis, 'data', over all devices or the first `devices`."""
  available = jax.devices()
  if devices > len(available):
    raise UserError(
      f"config.devices = {devices}, but JAX sees {len(available)} "
      f"{available[0].platform} device(s): choose at most that many, or 0."
    )
  chosen = available[:devices] if devices else available
  return jax.make_mesh(
    (len(chosen),), ("data",), axis_types=(AxisType.Auto,), devices=chosen
  )


def replicated(mesh: Mesh) -> NamedSharding:
  """Every device holds all of it."""
  return NamedSharding(mesh, PartitionSpec())


def batched(mesh: Mesh) -> NamedSharding:
  """The first axis is split over 'data'."""
  return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(mesh: Mesh, batch_size: int, accumulate: int = 1) -> None:
  """Refuses a batch that cannot be split evenly."""
  parts = mesh.size * accumulate
  if batch_size < 1 or batch_size % parts:
    what = f"{mesh.size} device(s)"
    if accumulate > 1:
      what += f" times config.accumulate = {accumulate}"
    near = max(parts, round(batch_size / parts) * parts)
    raise UserError(
      f"config.data.batch_size = {batch_size} is not divisible by {what}: "
      f"choose a multiple of {parts}, such as {near}."
    )


def put_batch(mesh: Mesh, batch: dict[str, np.ndarray]) -> dict[str, Any]:
  """This process's rows -> global arrays, split over 'data'."""
  sharding = batched(mesh)
  if jax.process_count() == 1:
    return jax.device_put(batch, sharding)
  return {
    key: jax.make_array_from_process_local_data(sharding, value)
    for key, value in batch.items()
  }


def prefetch(
  mesh: Mesh, batches: Iterable[dict[str, np.ndarray]], depth: int = 2
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Any]]]:
  """Keeps `depth` batches on their way to the devices.

  Yields:
    (host batch, device batch): the first for messages and pictures.
  """
  queue: collections.deque = collections.deque()
  for batch in batches:
    queue.append((batch, put_batch(mesh, batch)))  # returns at once
    if len(queue) > depth:
      yield queue.popleft()
  yield from queue


def to_host(tree: Any) -> Any:
  """Replicated arrays -> NumPy, on every process."""
  return jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), tree)
