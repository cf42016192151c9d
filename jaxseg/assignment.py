"""The task of a config: what is predicted, by which losses, judged how; and
the application: what for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxseg.applications import APPLICATIONS
from jaxseg.data import colors
from jaxseg.data.datasets import points_of
from jaxseg.naming import construct, given, lookup
from jaxseg.tasks import TASKS
from jaxseg.types import UserError

CROSS_ENTROPY_KEYS = (
  "label_smoothing",
  "class_weights",
  "normalization",
  "reduction",
)
MULTI_KEYS = ("tasks", "weights", "weighting")
TASKS_KEY = "config.task.tasks"
RESIZES = ("resize", "random_scale", "person")  # change metres per pixel


def parse_losses(
  losses: Any, options: dict[str, Any], registry: Mapping[str, Any]
) -> tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...]:
  """('cross_entropy', 'dice*0.5') -> ((name, weight, options), ...)."""
  if isinstance(losses, str):
    losses = (losses,)
  terms = []
  for text in losses:
    name, _, factor = str(text).partition("*")
    name = name.strip()
    lookup(registry, name, "config.task.losses")
    try:
      weight = float(factor) if factor else 1.0
    except ValueError:
      raise UserError(
        f"config.task.losses: {text!r} has no number after '*': write "
        "'dice*0.5'."
      ) from None
    own = tuple(sorted(options.items())) if name == "cross_entropy" else ()
    terms.append((name, weight, own))
  if options and not any(name == "cross_entropy" for name, _, _ in terms):
    raise UserError(
      f"config.task.{next(iter(options))} is an option of cross_entropy, which "
      f"is not among config.task.losses = {', '.join(map(str, losses))}."
    )
  return tuple(terms)


def _floats(values: Any, key: str) -> tuple[float, ...]:
  """config.task.KEY as numbers."""
  try:
    return tuple(float(v) for v in values)
  except (TypeError, ValueError):
    raise UserError(
      f"config.task.{key} = {values!r}: expected numbers, such as (1.0, 2.0)."
    ) from None


def _per_class(
  weights: Any, key: str, least: float, classes: int
) -> tuple[float, ...]:
  """Numbers of at least `least`, one for each class."""
  weights = _floats(weights, key)
  if len(weights) != classes or min(weights) < least:
    raise UserError(
      f"config.task.{key} = {weights} has {len(weights)} entries for {classes} "
      f"classes: expected one number per class, at least {least:g}."
    )
  return weights


def make_task(config: ConfigDict, spec: Any) -> Any:
  """The task of config.task on a data set.

  Raises:
    UserError: a name or an option that is not known, or values that do not
      fit one another.
  """
  lookup(TASKS, config.task.name, "config.task.name")
  kwargs = given(config.task)
  if config.task.name == "multi":
    return _several(kwargs, spec)
  return _one(config.task.name, kwargs, spec)


def make_application(config: ConfigDict, spec: Any, *, evaluated: bool) -> Any:
  """The application of config.application; None where none is named.

  Args:
    config: all keys.
    spec: of the data set: its classes are what the application reads.
    evaluated: False where nothing is measured on config.data.eval.

  Raises:
    UserError: a name or an option that is not known, values that cannot be.
  """
  section = config.application
  kwargs = given(section)
  if section.name is None:
    if kwargs:
      raise UserError(
        f"config.application.{next(iter(kwargs))} is set and "
        "config.application.name is not: name one of "
        f"{', '.join(APPLICATIONS)}."
      )
    return None
  factory = lookup(APPLICATIONS, section.name, "config.application.name")
  steps = config.data.eval.split("|")
  if evaluated and any(s.strip().startswith(RESIZES) for s in steps):
    raise UserError(
      f"config.application.name = {section.name!r} measures metres on images "
      f"of their own scale, and config.data.eval = {config.data.eval!r} "
      "changes it: use 'pad', with a config.data.size that holds every image."
    )
  if "margins" in kwargs:
    try:
      kwargs["margins"] = tuple(
        (str(one), float(metres)) for one, metres in kwargs["margins"]
      )
    except (TypeError, ValueError) as e:
      raise UserError(
        f"config.application.margins = {kwargs['margins']}: expected pairs of "
        "a class and metres, such as (('person', 5.0),)."
      ) from e
  if "safe" in kwargs:
    safe = kwargs["safe"]
    kwargs["safe"] = (safe,) if isinstance(safe, str) else tuple(safe)
  fixed = {"classes": tuple(spec.classes)}
  return construct(factory, kwargs, fixed, "application")


def _one(name: str, kwargs: dict[str, Any], spec: Any) -> Any:
  factory = TASKS[name]
  options = {}
  fixed = {}
  if name == "semantic":
    options = {k: kwargs.pop(k) for k in CROSS_ENTROPY_KEYS if k in kwargs}
    for key, section, least in (
      ("class_weights", options, 0.0),
      ("decision_weights", kwargs, 1e-6),
    ):
      if key in section:
        section[key] = _per_class(section[key], key, least, spec.num_classes)
    fixed = {"classes": spec.classes, "palette": spec.palette}
  if name == "keypoints":
    fixed = points_of(spec)
  if isinstance(kwargs.get("prior"), str):
    kwargs["prior"] = colors.read_prior(kwargs["prior"], "config.task.prior")
  if "losses" in kwargs and hasattr(factory, "registry"):
    losses = parse_losses(kwargs["losses"], options, factory.registry)
    kwargs["losses"] = losses
  elif options:
    kwargs["losses"] = (("cross_entropy", 1.0, tuple(sorted(options.items()))),)
  return construct(factory, kwargs, fixed, "task")


def _several(kwargs: dict[str, Any], spec: Any) -> Any:
  """Tasks that share a network; an option goes to every task that has it."""
  own = {k: kwargs.pop(k) for k in MULTI_KEYS if k in kwargs}
  names = own.pop("tasks", ())
  names = (names,) if isinstance(names, str) else tuple(names)
  if "weights" in own:
    own["weights"] = _floats(own["weights"], "weights")
  known = {k: v for k, v in TASKS.items() if k != "multi"}
  shares = {name: {} for name in names}
  takes = {
    name: {f.name for f in dataclasses.fields(lookup(known, name, TASKS_KEY))}
    for name in names
  }
  if "semantic" in names:
    takes["semantic"] |= set(CROSS_ENTROPY_KEYS)
  for task, losses in _losses_of(kwargs.pop("losses", ()), names).items():
    shares[task]["losses"] = losses
  for key, value in kwargs.items():
    owners = [name for name in names if key in takes[name]]
    if not owners:
      raise UserError(
        f"config.task.{key} is not an option of any of the tasks "
        f"{', '.join(names)}: unset it."
      )
    for name in owners:
      shares[name][key] = value
  parts = tuple((name, _one(name, shares[name], spec)) for name in names)
  return construct(TASKS["multi"], own, {"parts": parts}, "task")


def _losses_of(
  losses: Any, names: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
  """('depth/l1', 'normals/cosine*2') -> {'depth': ('l1',), ...}."""
  losses = (losses,) if isinstance(losses, str) else losses
  found: dict[str, tuple[str, ...]] = {}
  for text in losses:
    task, slash, loss = str(text).partition("/")
    if not slash or task not in names:
      raise UserError(
        f"config.task.losses: {text!r} names none of the tasks "
        f"{', '.join(names)} before a slash: write "
        f"'{names[0] if names else 'depth'}/{loss or task}'."
      )
    found[task] = (*found.get(task, ()), loss)
  return found
