"""Weights into a network's variables: all fit, or it is an error that says so.

Every array of the file has its place, every place its array, and shapes are
equal, except for what the caller waives by name. Variables are nested
dictionaries {'params': ..., 'batch_stats': ...}; 'encoder/stem' in a waiver
stands for that module and all within, in every collection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxseg.types import UserError

MAX_LINES = 20
# More channels than this are no image's: another convolution's shape differs.
MAX_CHANNELS = 32


@dataclasses.dataclass(frozen=True)
class Allow:
  """What may differ between a file and a network.

  Attributes:
    missing: modules that keep their values because the file lacks them.
    unexpected: modules of the file that the network lacks; left out.
    num_classes: heads that keep their values where the shapes differ.
    in_channels: what becomes of the first convolution's kernel where the
      image has another number of channels n than the weights' c. 'error';
      'mean': the mean over c, repeated n times; 'tile': channels repeated in
      turn. Both are scaled by c / n, so that the response to an image whose
      channels are all equal stays ('tile': where c divides n, else about).
  """

  missing: tuple[str, ...] = ()
  unexpected: tuple[str, ...] = ()
  num_classes: tuple[str, ...] = ()
  in_channels: str = "error"


@dataclasses.dataclass(frozen=True)
class Report:
  """What `merge` did, by path.

  Attributes:
    loaded: taken from the file as they are.
    kept: the network's own values stayed.
    dropped: of the file, not used.
    adapted: path -> what was done to fit it.
  """

  loaded: tuple[str, ...]
  kept: tuple[str, ...]
  dropped: tuple[str, ...]
  adapted: Mapping[str, str]

  def __str__(self) -> str:
    """One line."""
    parts = [f"{len(self.loaded)} arrays loaded"]
    for name, paths in (("kept", self.kept), ("left out", self.dropped)):
      if paths:
        parts.append(f"{len(paths)} {name} ({', '.join(_modules(paths))})")
    parts += [f"{path}: {what}" for path, what in self.adapted.items()]
    return "; ".join(parts)


def merge(
  variables: Mapping[str, Any],
  loaded: Mapping[str, np.ndarray],
  *,
  only: str = "",
  allow: Allow | None = None,
) -> tuple[dict[str, Any], Report]:
  """Puts weights into variables.

  Args:
    variables: nested dictionaries with arrays (or shapes) as leaves.
    loaded: path -> array, as `store.read` gives them.
    only: a module such as 'encoder': nothing outside of it is touched, and
      nothing outside of it has to fit.
    allow: what may differ; nothing by default.

  Returns:
    A new tree, float32 where arrays were loaded, and the report. Leaves that
    keep their values are the given ones.

  Raises:
    UserError: a name or a shape that does not fit, listed as a diff; a waiver
      that names no module; an array that is not finite.
  """
  allow = allow or Allow()
  if allow.in_channels not in ("error", "mean", "tile"):
    raise UserError(
      f"in_channels={allow.in_channels!r}; expected 'error', 'mean' or 'tile'."
    )
  flat = flatten(variables)
  ours = {k: tuple(v.shape) for k, v in flat.items() if _within(k, only)}
  theirs = {k: np.asarray(v) for k, v in loaded.items() if _within(k, only)}
  dropped = [k for k in loaded if k not in theirs]
  _check_waivers(allow, only, ours, theirs)

  new: dict[str, np.ndarray] = {}
  adapted: dict[str, str] = {}
  kept, missing, unexpected = [], [], []
  differing: dict[str, tuple] = {}
  for path in ours.keys() - theirs.keys():
    (kept if _any_within(path, allow.missing) else missing).append(path)
  for path in theirs.keys() - ours.keys():
    waived = _any_within(path, allow.unexpected)
    (dropped if waived else unexpected).append(path)
  for path in ours.keys() & theirs.keys():
    if ours[path] == theirs[path].shape:
      new[path] = theirs[path]
    elif _any_within(path, allow.num_classes):
      kept.append(path)
      dropped.append(path)
    else:
      differing[path] = ours[path], theirs[path].shape
  if allow.in_channels != "error":
    first = _first_convolution(differing)
    if first:
      (*_, n, _), (*_, c, _) = differing.pop(first)
      new[first] = adapt_channels(theirs[first], n, allow.in_channels)
      adapted[first] = f"{c} input channels to {n} ({allow.in_channels})"
  if missing or unexpected or differing:
    raise UserError(_diff(missing, unexpected, differing, ours, theirs))

  for path, array in new.items():
    # float16 weights are trained in float32 here; arithmetic is the model's.
    new[path] = array = np.asarray(array, np.float32)
    if not np.isfinite(array).all():
      raise UserError(
        f"{path} of the weights holds values that are not finite: expected "
        "numbers, so fetch or convert the checkpoint again."
      )
  report = Report(
    loaded=tuple(sorted(new.keys() - adapted.keys())),
    kept=tuple(sorted(kept)),
    dropped=tuple(sorted(dropped)),
    adapted=adapted,
  )
  return unflatten({**flat, **new}), report


def class_layers(
  variables: Mapping[str, Any],
  loaded: Mapping[str, np.ndarray],
  classes: Iterable[int],
) -> tuple[str, ...]:
  """Modules that differ from the file in their number of classes alone.

  Of an array of theirs every axis that differs has as many entries as a head
  of the network has channels; for `Allow.num_classes`.

  Args:
    variables, loaded: see `merge`.
    classes: channels of the network's heads.
  """
  found = set()
  for path, ours in flatten(variables).items():
    theirs = np.shape(loaded.get(path, ours))
    if np.shape(ours) != theirs and len(ours.shape) == len(theirs):
      new = {a for a, b in zip(ours.shape, theirs) if a != b}
      if new <= set(classes):
        found.add(path.partition("/")[2].rpartition("/")[0])
  return tuple(sorted(found))


def adapt_channels(kernel: np.ndarray, n: int, how: str) -> np.ndarray:
  """(kh, kw, c, out) -> (kh, kw, n, out) by 'mean' or 'tile'; see `Allow`."""
  kernel = np.asarray(kernel, np.float32)
  c = kernel.shape[2]
  if how == "mean":
    kernel = kernel.mean(2, keepdims=True)  # (kh, kw, 1, out)
  index = np.arange(n) % kernel.shape[2]
  return kernel[:, :, index] * np.float32(c / n)


def subtree(
  loaded: Mapping[str, np.ndarray], module: str
) -> dict[str, np.ndarray]:
  """A module's arrays with its name taken off the paths.

  'params/encoder/stem/conv/kernel' of 'encoder' -> 'params/stem/conv/kernel'.
  """
  out = {}
  for path, array in loaded.items():
    if _within(path, module):
      collection, _, rest = path.partition("/")
      out[f"{collection}/{rest[len(module) + 1 :]}"] = array
  return out


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Nested dictionaries -> {'params/a/b/kernel': leaf}."""
  out = {}
  for key, value in tree.items():
    if isinstance(value, Mapping):
      out.update(flatten(value, f"{prefix}{key}/"))
    else:
      out[prefix + key] = value
  return out


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
  """The opposite of `flatten`."""
  out: dict[str, Any] = {}
  for path, leaf in flat.items():
    *folders, name = path.split("/")
    node = out
    for folder in folders:
      node = node.setdefault(folder, {})
    node[name] = leaf
  return out


def _within(path: str, module: str) -> bool:
  """Whether 'params/a/b/kernel' lies in module '', 'a', 'a/b', 'a/b/kernel'."""
  _, _, inner = path.partition("/")
  return not module or f"{inner}/".startswith(f"{module}/")


def _any_within(path: str, modules: Iterable[str]) -> bool:
  return any(_within(path, module) for module in modules)


def _check_waivers(
  allow: Allow, only: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
  """A misspelt name would waive nothing, or what it names would go unsaid."""
  for field in ("missing", "unexpected", "num_classes"):
    names = getattr(allow, field)
    if isinstance(names, str) or "" in names:
      raise UserError(
        f"{field}={names!r}; expected a tuple of module names such as ('fc',)."
      )
  # (Weights without the head that may be left out are fine.)
  for field in ("missing", "num_classes"):
    for name in getattr(allow, field):
      if not any(_within(path, name) for path in ours):
        raise UserError(
          f"{field} names {name!r}, which the network has not: expected one of "
          f"{', '.join(_modules(ours))}."
        )
  for name, paths in (("network", ours), ("file", theirs)):
    if only and not paths:
      raise UserError(f"the {name} has no module {only!r} to be loaded.")


def _modules(paths: Iterable[str]) -> list[str]:
  """The outermost modules of paths, sorted."""
  return sorted({path.split("/")[1] for path in paths if "/" in path})


def _first_convolution(differing: Mapping[str, tuple]) -> str:
  """The one kernel whose number of input channels alone differs, or ''."""
  found = [
    path
    for path, (ours, theirs) in differing.items()
    if len(ours) == len(theirs) == 4
    and (*ours[:2], ours[3]) == (*theirs[:2], theirs[3])
    and max(ours[2], theirs[2]) <= MAX_CHANNELS
  ]
  return found[0] if len(found) == 1 else ""


def _diff(
  missing: list[str],
  unexpected: list[str],
  differing: Mapping[str, tuple],
  ours: Mapping[str, tuple],
  theirs: Mapping[str, np.ndarray],
) -> str:
  """Counts, then lines sorted by path, each kind with its share of them."""
  groups = [
    [f"- {path} {ours[path]}" for path in sorted(missing)],
    [f"+ {path} {theirs[path].shape}" for path in sorted(unexpected)],
    [
      f"! {path} network {a}, weights {b}"
      for path, (a, b) in sorted(differing.items())
    ],
  ]
  lines = [
    "the weights do not fit the network: "
    f"{len(missing)} missing (-), {len(unexpected)} unexpected (+), "
    f"{len(differing)} of another shape (!); the network has {len(ours)} "
    f"arrays, the weights {len(theirs)}. Name the network that they were "
    "trained for, or waive by name what may differ:"
  ]
  # Line by line from each kind in turn, until the room is used up.
  shares = [0] * len(groups)
  for _ in range(MAX_LINES):
    open_ = [i for i, g in enumerate(groups) if shares[i] < len(g)]
    if open_:
      shares[min(open_, key=shares.__getitem__)] += 1
  for group, share in zip(groups, shares):
    lines += group[:share]
    if len(group) > share:
      lines.append(f"{group[0][0]} ... and {len(group) - share} more")
  return "\n  ".join(lines)
