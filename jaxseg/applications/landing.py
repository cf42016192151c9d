"""Where a drone may land: ranked discs of safe ground from a semantic map.

Every class that is not among the safe ones is an obstacle, and may ask for a
margin in metres (people, trees). The discs are those of `discs`: most room
first, none over another, none smaller than `min_radius_m`; there may be none.
One picture is one altitude: metres per pixel are altitude over focal length,
or given.

With `max_risk` a pixel is an obstacle where the network gives the unsafe
classes together more than that probability, and an obstacle with margin m
where it gives those that ask for m or more so much: a disc then has no pixel
of a higher risk. Without it the labels decide. A label of 255, of which nothing
is known, is an obstacle without a margin.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import compiling, viz
from jaxseg.applications import discs, safety
from jaxseg.types import IGNORE, Array, Metric, Task, UserError

BUCKET = 128  # shapes are rounded up to it: few are compiled


@dataclasses.dataclass(frozen=True)
class Landing:
  """See the module. Implements types.Application.

  Attributes:
    classes: of the task, in the order of their ids.
    safe: names of those that may be landed on.
    margins: ((class, metres), ...) to keep from classes that are not safe;
      those that are not named: 0.
    min_radius_m: metres; smaller discs are no answer.
    count: how many discs at most.
    altitude_m: metres above ground, of a camera that looks straight down.
    focal_px: focal length in pixels of the images.
    metres_per_pixel: instead of these two.
    max_risk: see the module; None: the labels decide.
  """

  classes: tuple[str, ...]
  safe: tuple[str, ...] = ()
  margins: tuple[tuple[str, float], ...] = ()
  min_radius_m: float = 1.0
  count: int = 5
  altitude_m: float | None = None
  focal_px: float | None = None
  metres_per_pixel: float | None = None
  max_risk: float | None = None

  name = "landing"

  def __post_init__(self):
    known = f"the classes are {', '.join(self.classes)}"
    for one in self.safe:
      if one not in self.classes:
        raise UserError(f"config.application.safe names {one!r}: {known}.")
    if not self.safe:
      raise UserError(
        f"config.application.safe is empty, and a drone lands nowhere: {known}."
      )
    for one, metres in self.margins:
      if one not in self.classes or one in self.safe:
        raise UserError(
          f"config.application.margins names {one!r}: expected a class that is "
          f"not among the safe ones ({', '.join(self.safe)}); {known}."
        )
      if not 0 <= metres < float("inf"):
        raise UserError(
          f"config.application.margins: {metres} m from {one!r}: expected a "
          "number of metres, at least 0."
        )
    if not 0 < self.min_radius_m < float("inf") or self.count < 1:
      raise UserError(
        f"config.application.min_radius_m = {self.min_radius_m}, count = "
        f"{self.count}: expected metres above 0, and at least one disc."
      )
    if self.max_risk is not None and not 0 <= self.max_risk < 1:
      raise UserError(
        f"config.application.max_risk = {self.max_risk}: expected a "
        "probability in [0, 1), such as 0.1."
      )
    object.__setattr__(self, "metres_per_pixel", self._scale())

  def _scale(self) -> float:
    """Metres per pixel; what was given must be one way to tell, and whole."""
    view = (self.altitude_m, self.focal_px)
    given = [v is not None for v in view]
    if self.metres_per_pixel is not None:
      if not any(given) and 0 < self.metres_per_pixel < float("inf"):
        return float(self.metres_per_pixel)
    elif all(given):
      return discs.metres_per_pixel(*view)
    raise UserError(
      f"config.application.altitude_m = {self.altitude_m}, focal_px = "
      f"{self.focal_px}, metres_per_pixel = {self.metres_per_pixel}: expected "
      "the first two, or the last alone, above 0."
    )

  @property
  def kinds(self) -> tuple[tuple[float, tuple[int, ...]], ...]:
    """(margin, ids of the unsafe classes that ask for that or more), ..."""
    asked = dict(self.margins)
    margin = {
      i: float(asked.get(name, 0))
      for i, name in enumerate(self.classes)
      if name not in self.safe
    }
    return tuple(
      (m, tuple(i for i, own in margin.items() if own >= m))
      for m in sorted({0.0, *margin.values()})
    )

  def of(self, task: Task) -> Task:
    """The task; with `max_risk` it tells the kinds' probabilities as well.

    Raises:
      UserError: it does not tell classes of pixels apart.
    """
    if task.name != "semantic":
      raise UserError(
        f"application 'landing' reads classes of pixels, and task {task.name!r}"
        " has none: choose config.task.name = 'semantic'."
      )
    if self.max_risk is None:
      return task
    return dataclasses.replace(task, groups=tuple(ids for _, ids in self.kinds))

  def obstacles(self, pred: Mapping[str, Array]) -> Array:
    """bool (..., g, h, w), a map for each of `kinds`; runs under jit.

    Args:
      pred: 'label' int (..., h, w), or with `max_risk` 'probability' float
        (..., h, w, g) of the kinds. What is NaN is an obstacle.
    """
    if self.max_risk is not None:
      risk = jnp.moveaxis(pred["probability"], -1, -3)
      return ~(risk <= self.max_risk)
    label = jnp.asarray(pred["label"], jnp.int32)
    tables = np.zeros((len(self.kinds), len(self.classes) + 1), bool)
    for row, (_, ids) in zip(tables, self.kinds):
      row[list(ids)] = True
    tables[0, -1] = True  # nothing is known
    outside = (label < 0) | (label >= len(self.classes))
    label = jnp.where(outside, len(self.classes), label)
    return jnp.stack([jnp.asarray(row)[label] for row in tables], -3)

  def choose(self, obstacles: Array, size: Array | None = None) -> discs.Discs:
    """Ranked discs (..., count); runs under jit.

    Args:
      obstacles: from the method of that name.
      size: int (2,), height and width of the picture where that is smaller.
    """
    h, w = obstacles.shape[-2:]
    if size is not None:
      rows, columns = jnp.arange(h)[:, None], jnp.arange(w)
      inside = (rows < size[0]) & (columns < size[1])
      obstacles &= inside  # the margins are of things in the picture
      first = jnp.arange(len(self.kinds))[:, None, None] == 0
      obstacles |= first & ~inside  # the border
    margins = jnp.asarray([m for m, _ in self.kinds])
    free = discs.room(obstacles, margins, self.metres_per_pixel)
    return discs.rank(
      free, self.metres_per_pixel, self.min_radius_m, self.count, size
    )

  def find(
    self,
    label: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
  ) -> dict[str, Any]:
    """The answer for one picture, as `answer` writes it.

    Args:
      label: int (h, w), class ids or 255.
      probabilities: float (h, w, classes), where `max_risk` is set.

    Raises:
      UserError: NaN, ids or channels that are no classes, other shapes.
    """
    if self.max_risk is None:
      return self._document({"label": self._checked_label(label)})
    p = np.asarray(probabilities, np.float32)
    if p.ndim != 3 or p.shape[-1] != len(self.classes):
      raise UserError(
        f"probabilities have shape {p.shape}: expected (h, w, "
        f"{len(self.classes)}), one channel for each class, for "
        "config.application.max_risk is set."
      )
    groups = [p[..., list(ids)].sum(-1) for _, ids in self.kinds]
    return self._document({"probability": np.stack(groups, -1)})

  def _checked_label(self, label: np.ndarray | None) -> np.ndarray:
    label = np.asarray(label)
    if label.ndim != 2 or not np.issubdtype(label.dtype, np.integer):
      raise UserError(
        f"labels of {label.dtype} {label.shape} were given: expected whole "
        "numbers (h, w); probabilities go with "
        "config.application.max_risk."
      )
    wrong = (label < 0) | (label >= len(self.classes)) & (label != IGNORE)
    if wrong.any():
      raise UserError(
        f"{wrong.sum()} pixels have class ids that are not known, such as "
        f"{label[wrong][0]}: expected 0 to {len(self.classes) - 1}, or 255 "
        "where nothing is known."
      )
    return label

  def _document(self, pred: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Checks, pads to a bucket with obstacles, and asks the device."""
    key = "label" if self.max_risk is None else "probability"
    value = np.asarray(pred[key])
    if key == "probability" and not np.isfinite(value).all():
      bad = int((~np.isfinite(value)).any(-1).sum())
      raise UserError(
        f"probabilities of {bad} pixels are NaN or infinite: expected numbers "
        "in [0, 1]; the network or its input is broken, look there."
      )
    h, w = value.shape[:2]
    pads = [(0, -n % BUCKET) for n in (h, w)] + [(0, 0)] * (value.ndim - 2)
    size = np.array([h, w], np.int32)
    found = _chooser(self)({key: np.pad(value, pads)}, size)
    found = jax.device_get(found)
    return self._describe(found, (h, w))

  def _describe(
    self, found: discs.Discs, size: tuple[int, int]
  ) -> dict[str, Any]:
    places = [
      {
        "rank": i + 1,
        "row": int(row),
        "column": int(column),
        "radius_m": round(float(radius), 4),
        "radius_px": round(float(radius) / self.metres_per_pixel, 2),
      }
      for i, (row, column, radius, there) in enumerate(zip(*found))
      if there
    ]
    text = f"{len(places)} safe discs" if places else "no safe spot"
    return {
      "answer": f"{text} of at least {self.min_radius_m:g} m",
      "height": size[0],
      "width": size[1],
      "metres_per_pixel": self.metres_per_pixel,
      "safe": list(self.safe),
      "discs": places,
    }

  def answer(self, pred: Mapping[str, Any]) -> dict[str, Any]:
    """A prediction (h, w) with the document 'discs' in the risks' place.

    'discs' tells what was asked, and for each disc its rank, the row and
    column of its centre, and its radius in metres and in pixels.

    Raises:
      UserError: NaN in the probabilities.
    """
    rest = {k: v for k, v in pred.items() if k != "probability"}
    return {**rest, "discs": self._document(pred)}

  def render(
    self,
    image: np.ndarray,
    pred: Mapping[str, Any],
    pictures: Mapping[str, np.ndarray],
  ) -> dict[str, np.ndarray]:
    """The pictures, the discs and their radii drawn over 'overlay'."""
    found = pred["discs"]["discs"]
    places = [(d["row"], d["column"], d["radius_px"]) for d in found]
    texts = [f"{d['rank']}: {d['radius_m']:.3g} m" for d in found]
    drawn = viz.discs(pictures.get("overlay", image), places, texts)
    return {**pictures, "overlay": drawn}

  def metrics(self) -> dict[str, Metric]:
    """{'landing': how safe the discs are by the truth}; see `safety`."""
    unsafe = tuple(c not in self.safe for c in self.classes)
    return {
      "landing": safety.metric(
        unsafe, self.obstacles, self.choose, self.metres_per_pixel
      )
    }


@functools.cache
def _chooser(landing: Landing) -> Any:
  """(prediction, size) -> Discs, compiled once a rule and a bucket."""
  return compiling.jit(
    lambda pred, size: landing.choose(landing.obstacles(pred), size)
  )
