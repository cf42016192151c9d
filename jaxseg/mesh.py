"""Devices as a mesh of ('data', 'space'): what is split over which axis.

One `jit`ted step sees the global batch as one array: its statistics and its
loss are global without any collective in the code. Examples are spread over
'data'; with config.mesh.space above 1 the rows of every map are spread over
'space' as well, so that one image may be larger than a device's memory. The
state is on every device, or with config.mesh.fsdp spread over 'data' too. On
several hosts each process brings its own examples.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxseg.ops import rows
from jaxseg.types import BATCH_KEYS, UserError

# Arrays of fewer numbers are on every device: their messages would cost more.
SMALL = 1 << 14


def make_mesh(devices: int = 0, space: int = 1) -> Mesh:
  """A mesh ('data', 'space') over all devices or the first `devices`.

  Args:
    devices: how many; 0: all.
    space: over how many of them each image's rows are spread.
  """
  available = jax.devices()
  if devices > len(available):
    raise UserError(
      f"config.devices = {devices}, but JAX sees {len(available)} "
      f"{available[0].platform} device(s): choose at most that many, or 0."
    )
  processes = jax.process_count()
  if devices % processes:
    raise UserError(
      f"config.devices = {devices} cannot be shared by {processes} processes: "
      f"choose a multiple of {processes}, or 0 for all {len(available)}."
    )
  chosen = _of_each(available, devices // processes)
  # Each process brings whole images.
  local = len(chosen) // processes
  if space < 1 or local % space:
    raise UserError(
      f"config.mesh.space = {space} does not divide the {local} device(s) of "
      "each process, which share the rows of its images: choose a divisor, or "
      "1."
    )
  shape = (len(chosen) // space, space)
  names, types = ("data", "space"), (AxisType.Auto,) * 2
  mesh = jax.make_mesh(shape, names, axis_types=types, devices=chosen)
  if all(_processes(group) == 1 for group in mesh.devices):
    return mesh
  # JAX has laid it out for the links, with a group across processes.
  return Mesh(np.array(chosen).reshape(shape), names, axis_types=types)


def _of_each(devices: list[jax.Device], few: int) -> list[jax.Device]:
  """The first `few` of each process, process by process; 0: all."""
  own: dict[int, list[jax.Device]] = {}
  for device in sorted(devices, key=lambda d: (d.process_index, d.id)):
    own.setdefault(device.process_index, []).append(device)
  return [device for some in own.values() for device in some[: few or None]]


def _processes(group: np.ndarray) -> int:
  """How many processes own these devices."""
  return len({device.process_index for device in group})


def meet(mesh: Mesh) -> None:
  """All processes open their links, before the first step of any.

  Gloo's first collective among a group of devices waits 30 s for the slowest
  of them, later ones have no limit; and some compile a step, some load it.
  """
  if jax.process_count() == 1:
    return
  # Among one device of each process, whose link `process.distributed` opened.
  multihost_utils.sync_global_devices("meet")
  spec = PartitionSpec("data", "space")
  groups = ("data", "space", ("data", "space"))

  @functools.partial(jax.shard_map, mesh=mesh, in_specs=spec, out_specs=spec)
  def sums(x):
    return sum(jax.lax.psum(x, group) for group in groups) + x

  shape = tuple(mesh.shape.values())
  ones = jax.jit(
    lambda: jnp.ones(shape), out_shardings=NamedSharding(mesh, spec)
  )
  jax.block_until_ready(jax.jit(sums)(ones()))


def replicated(mesh: Mesh) -> NamedSharding:
  """Every device holds all of it."""
  return NamedSharding(mesh, PartitionSpec())


def batched(mesh: Mesh) -> NamedSharding:
  """The first axis is split over 'data'."""
  return NamedSharding(mesh, PartitionSpec("data"))


def rows_axis(key: str, ndim: int) -> int | None:
  """The axis of a batch's array that is rows of the image; None: it has none.

  As types.BATCH_KEYS has it: '(b, h, w, ...)', behind the axis of time where
  the array has one more than that.
  """
  shape = BATCH_KEYS.get(key, ("", "", ""))[1]
  if not shape.startswith("(b, h, w"):
    return None
  return 1 + ndim - len(shape.split(","))


def batch_sharding(mesh: Mesh, key: str, ndim: int) -> NamedSharding:
  """Of one array of a batch: examples over 'data', rows over 'space'."""
  axis = rows_axis(key, ndim)
  if axis is None or mesh.shape["space"] == 1:
    return batched(mesh)
  between = (None,) * (axis - 1)
  return NamedSharding(mesh, PartitionSpec("data", *between, "space"))


def state_sharding(mesh: Mesh, state: Any, fsdp: bool = False) -> Any:
  """Of every array of a state (or of its shapes).

  Args:
    mesh: the devices.
    state: pytree of arrays or shapes.
    fsdp: spread each array over 'data' along the longest axis that divides
      (fully sharded data parallelism; Rajbhandari et al. 2019, ZeRO,
      arXiv:1910.02054, stage 3). What has fewer than SMALL numbers, or no such
      axis, is on every device.
  """
  parts = mesh.shape["data"]

  def of(x):
    fitting = [i for i, n in enumerate(x.shape) if n % parts == 0]
    if not fsdp or parts == 1 or x.size < SMALL or not fitting:
      return replicated(mesh)
    axis = max(fitting, key=lambda i: x.shape[i])
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, "data"))

  return jax.tree.map(of, state)


def gather(mesh: Mesh, fsdp: bool) -> Callable[[Any], Any] | None:
  """Under jit: what is spread by `state_sharding` -> all of it, everywhere.

  Asked for where parameters are used; left to itself, the partitioner may
  rather split channels, and gather maps.
  """
  if not fsdp:
    return None
  return lambda tree: jax.lax.with_sharding_constraint(tree, replicated(mesh))


def traced(mesh: Mesh, function: Callable) -> Callable:
  """The function, to be jitted: its maps' rows are spread as the mesh has it.

  See `ops.rows`.
  """

  @functools.wraps(function)
  def call(*args, **kwargs):
    with rows.PARTS(mesh.shape["space"]):
      return function(*args, **kwargs)

  return call


def check_batch_size(
  mesh: Mesh,
  batch_size: int,
  accumulate: int = 1,
  key: str = "config.data.batch_size",
) -> None:
  """Refuses a batch that cannot be split evenly over 'data'."""
  devices = mesh.shape["data"]
  parts = devices * accumulate
  if batch_size < 1 or batch_size % parts:
    what = f"{devices} device(s)"
    if mesh.shape["space"] > 1:
      what = f"{devices} group(s) of {mesh.shape['space']} devices"
    if accumulate > 1:
      what += f" times config.accumulate = {accumulate}"
    near = max(parts, round(batch_size / parts) * parts)
    raise UserError(
      f"{key} = {batch_size} is not divisible by {what}: "
      f"choose a multiple of {parts}, such as {near}."
    )


def check_height(mesh: Mesh, height: int, stride: int = 1) -> None:
  """Refuses images whose rows, or those of the smallest map, do not divide.

  Args:
    mesh: the devices.
    height: of the images that the network sees.
    stride: of its smallest map.
  """
  space = mesh.shape["space"]
  parts = space * stride
  if space > 1 and height % parts:
    near = max(parts, round(height / parts) * parts)
    why = f" (this network's stride is {stride})" if stride > 1 else ""
    raise UserError(
      f"config.mesh.space = {space} cannot spread images of {height} rows: the "
      f"height has to be a multiple of {parts}{why}, such as {near}; change "
      "config.data.size."
    )


def put_batch(mesh: Mesh, batch: dict[str, np.ndarray]) -> dict[str, Any]:
  """This process's examples -> global arrays, split as in `batch_sharding`."""
  for key, value in batch.items():
    axis = rows_axis(key, value.ndim)
    if axis is not None:
      check_height(mesh, value.shape[axis])
  shardings = {
    key: batch_sharding(mesh, key, value.ndim) for key, value in batch.items()
  }
  if jax.process_count() == 1:
    return jax.device_put(batch, shardings)
  return {
    key: jax.make_array_from_process_local_data(shardings[key], value)
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
  """Arrays -> NumPy, all of each, on every process."""
  return jax.tree.map(whole, tree)


def whole(leaf: Any) -> np.ndarray:
  """One array, all of it; talks to other hosts only if they hold parts."""
  if not isinstance(leaf, jax.Array):
    return np.asarray(leaf)
  if leaf.is_fully_replicated:
    return np.asarray(leaf.addressable_data(0))
  if leaf.is_fully_addressable:
    return np.asarray(leaf)
  return multihost_utils.process_allgather(leaf, tiled=True)


def by_example(value: jax.Array) -> np.ndarray:
  """This host's examples of an array that is split over 'data' alone."""
  parts = {s.index[0].start or 0: s.data for s in value.addressable_shards}
  return np.concatenate([np.asarray(parts[start]) for start in sorted(parts)])
