"""Checkpoints that can be trusted: Orbax beneath, a checksum of our own above.

`WORKDIR/checkpoints/latest/N` holds the state after N steps, written in the
background; `.../best/N` the best by the experiment's metric. Beside the arrays
each holds a manifest: shape, dtype and CRC-32 of every array, the config, the
position in the data. Orbax restores a flipped bit silently and trusts any
directory named by a number, so restoring verifies the manifest; what does not
pass is set aside under `checkpoints/damaged` with a warning, and the one
before it is used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import pathlib
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from jaxseg import __version__, continuation, faults, mesh
from jaxseg.state import State
from jaxseg.types import UserError

Note = Callable[[str], None]


def _leaves(state: State) -> dict[str, Any]:
  """'params/a/kernel' -> array; None leaves left out."""
  flat, _ = jax.tree_util.tree_flatten_with_path(state)
  return {jax.tree_util.keystr(path): leaf for path, leaf in flat}


def manifest(state: State) -> dict[str, list]:
  """Array name -> [shape, dtype, CRC-32]."""
  return {name: _entry(leaf) for name, leaf in _leaves(state).items()}


def _entry(leaf: Any) -> list:
  array = np.ascontiguousarray(mesh.whole(leaf))
  crc = zlib.crc32(array.reshape(-1).view(np.uint8))
  return [list(array.shape), str(array.dtype), crc]


def _info_crc(info: Mapping[str, Any]) -> int:
  """CRC-32 of all that lies beside the arrays, but for itself."""
  rest = {k: v for k, v in info.items() if k != "crc"}
  return zlib.crc32(json.dumps(rest, sort_keys=True).encode())


def _check_info(info: Any) -> dict[str, Any]:
  """The manifest as it was written.

  Raises:
    ValueError: it is not. (One of an earlier version has no checksum.)
  """
  keys = {"step", "version", "config", "position", "metrics", "arrays"}
  if not isinstance(info, dict) or not keys <= info.keys() <= {*keys, "crc"}:
    raise ValueError("entries are missing or unknown")
  if "crc" in info and info["crc"] != _info_crc(info):
    raise ValueError("its checksum differs")
  return info


@dataclasses.dataclass
class Restored:
  """What a checkpoint gave back.

  Attributes:
    state: the state, verified.
    info: the manifest's other entries: config, position, metrics.
    path: where it came from.
  """

  state: State
  info: dict[str, Any]
  path: pathlib.Path


class Checkpoints:
  """The checkpoints of one workdir. Close it, or lose the last save."""

  def __init__(
    self,
    workdir: str | pathlib.Path,
    config: Mapping[str, Any],
    *,
    keep: int = 2,
    best: tuple[str, str] = ("miou", "max"),
    note: Note = logging.warning,
  ):
    self._root = pathlib.Path(workdir).resolve() / "checkpoints"
    self._config = dict(config)
    self._keep = keep
    self._best = best
    self._note = note
    self._managers: dict[str, ocp.CheckpointManager] = {}

  def _manager(self, kind: str) -> ocp.CheckpointManager:
    if kind not in self._managers:
      self._managers[kind] = ocp.CheckpointManager(
        self._root / kind,
        options=ocp.CheckpointManagerOptions(
          max_to_keep=self._keep if kind == "latest" else 1,
          enable_async_checkpointing=True,
          create=True,
        ),
      )
    return self._managers[kind]

  def steps(self, kind: str = "latest") -> list[int]:
    """Steps that have a directory, newest first; nothing is verified."""
    folder = self._root / kind
    if not folder.is_dir():
      return []
    names = [p.name for p in folder.iterdir() if p.is_dir()]
    return sorted((int(n) for n in names if n.isdigit()), reverse=True)

  def save(
    self,
    state: State,
    *,
    kind: str = "latest",
    position: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
  ) -> None:
    """Starts writing the state; later updates do not leak into it."""
    step = int(mesh.whole(state.step))
    manager = self._manager(kind)
    self.wait()  # two managers that save at once confuse Orbax's barriers
    if step in self.steps(kind):
      return
    for later in self.steps(kind):
      # Of a run that was set back to before it: the newest would be kept.
      if later > step and kind == "best":
        manager.delete(later)
    info = {
      "step": step,
      "version": __version__,
      "config": self._config,
      "position": dict(position),
      "metrics": {k: float(v) for k, v in (metrics or {}).items()},
      "arrays": manifest(state),
    }
    info["crc"] = _info_crc(info)
    with self._told(kind):
      saved = manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(_to_dict(state)),
          info=ocp.args.JsonSave(info),
        ),
        force=True,
      )
    if not saved:
      raise RuntimeError(f"Orbax declined to save step {step} under {kind}.")

  def is_best(self, score: float) -> bool:
    """Whether a score beats that of the best checkpoint there is."""
    return bool(np.isfinite(score)) and _everywhere(self._beats(score))

  def _beats(self, score: float) -> bool:
    name, mode = self._best
    self._manager("best")
    self.wait()
    for step in self.steps("best"):
      try:
        held = self._info("best", step)["metrics"][name]
      except Exception:  # damaged: anything is better
        continue
      return score > held if mode == "max" else score < held
    return True

  def wait(self) -> None:
    """Returns when everything is on disk.

    Raises:
      UserError: there is no room.
    """
    for kind, manager in self._managers.items():
      with self._told(kind):
        manager.wait_until_finished()

  @contextlib.contextmanager
  def _told(self, kind: str) -> Iterator[None]:
    """A save that found no room is said in a sentence."""
    try:
      yield
    except Exception as e:  # Orbax and TensorStore raise many kinds
      reason = faults.room(e)
      if not reason:
        raise
      whole = self.steps(kind)
      last = f"from step {whole[0]}" if whole else "from the start"
      raise UserError(
        f"a checkpoint in {self._root / kind} cannot be written ({reason}): "
        f"make room on its disk. The same command goes on {last}."
      ) from e

  def close(self) -> None:
    """Waits and releases."""
    managers, self._managers = self._managers, {}
    with contextlib.ExitStack() as stack:
      for kind, manager in managers.items():
        stack.enter_context(self._told(kind))
        stack.callback(manager.close)
        manager.wait_until_finished()

  def restore(self, abstract: State, kind: str = "latest") -> Restored | None:
    """The newest checkpoint that is whole; None where there is none.

    Args:
      abstract: shapes, dtypes and shardings of the state.
      kind: 'latest' or 'best'.

    Raises:
      UserError: the config contradicts the checkpoint's.
    """
    for step in self.steps(kind):
      path = self._root / kind / str(step)
      restored, problem = self._try(abstract, kind, step)
      if _everywhere(not problem):
        return Restored(*restored, path)
      self._set_aside(path, kind, problem or "damaged on another host")
    return None

  def arrays(self, kind: str, step: int) -> dict[str, np.ndarray]:
    """All that a checkpoint holds, on the host, whatever the config.

    Raises:
      Exception: it is damaged; of many kinds, as Orbax and TensorStore do.
    """
    manager = self._manager(kind)
    held = self._info(kind, step)["arrays"]
    like = {k: np.empty(shape, dtype) for k, (shape, dtype, _) in held.items()}
    tree = manager.restore(
      step, args=ocp.args.Composite(state=ocp.args.StandardRestore(like))
    )["state"]
    for name, array in tree.items():
      if _entry(array) != held[name]:
        raise ValueError(f"{name} differs from its manifest")
    return tree

  def _info(self, kind: str, step: int) -> dict[str, Any]:
    """The manifest of a checkpoint, verified; raises whatever is wrong."""
    args = ocp.args.Composite(info=ocp.args.JsonRestore())
    info = _check_info(self._manager(kind).restore(step, args=args)["info"])
    if info["step"] != step:
      raise ValueError(f"it is that of step {info['step']}")
    return info

  def _try(
    self, abstract: State, kind: str, step: int
  ) -> tuple[tuple[State, dict] | None, str]:
    """(state, info), or what is wrong with the checkpoint."""
    manager = self._manager(kind)
    try:
      info = self._info(kind, step)
      expected = info["arrays"]
      config = info["config"]
    except Exception as e:  # Orbax and TensorStore raise many kinds
      return None, f"its manifest cannot be read ({_reason(e)})"
    # The config speaks first: a changed network is no damage.
    changed = continuation.contradictions(config, self._config)
    if changed:
      raise UserError(
        f"{self._root.parent} holds a run with another config: "
        f"{'; '.join(changed)}. Use the run's own values, or another --workdir."
      )
    try:
      tree = manager.restore(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardRestore(_to_dict(abstract))
        ),
      )["state"]
      state = _from_dict(abstract, tree)
    except Exception as e:
      return None, f"its arrays cannot be read ({_reason(e)})"
    found = manifest(state)
    wrong = [k for k in expected if found.get(k) != expected[k]]
    wrong += [k for k in found if k not in expected]
    if wrong:
      return None, f"{len(wrong)} arrays differ from its manifest: {wrong[0]}"
    return (state, info), ""

  def _set_aside(self, path: pathlib.Path, kind: str, problem: str) -> None:
    """Moves a damaged checkpoint out of the way; says so."""
    target = self._root / "damaged" / f"{kind}-{path.name}-{int(time.time())}"
    if jax.process_index() == 0:
      target.parent.mkdir(parents=True, exist_ok=True)
      shutil.move(path, target)
    self._note(
      f"checkpoint {path} is damaged: {problem}. Set aside as {target}; going "
      "back to the one before it."
    )
    if jax.process_count() > 1:
      multihost_utils.sync_global_devices(f"set aside {path}")
    # The manager has its own list of steps: start it afresh.
    self._managers.pop(kind).close()


def _everywhere(ok: bool) -> bool:
  """Whether all hosts say yes."""
  if jax.process_count() == 1:
    return ok
  return bool(np.all(multihost_utils.process_allgather(np.asarray(ok))))


def _reason(error: Exception) -> str:
  """What is wrong with a checkpoint that cannot be read.

  Raises:
    Exception: the error itself, where a disk or network is at fault.
  """
  if faults.disk(error):
    raise error
  text = " ".join(str(error).split())
  return f"{type(error).__name__}: {text[:160]}"


def _to_dict(state: State) -> dict[str, Any]:
  """Plain containers: what is on disk does not depend on our classes."""
  return {name: leaf for name, leaf in _leaves(state).items()}


def _from_dict(abstract: State, tree: Mapping[str, Any]) -> State:
  flat, treedef = jax.tree_util.tree_flatten_with_path(abstract)
  return jax.tree_util.tree_unflatten(
    treedef, [tree[jax.tree_util.keystr(path)] for path, _ in flat]
  )
