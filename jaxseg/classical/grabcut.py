"""Cutting an object out: seeds (Boykov and Jolly) and boxes (GrabCut).

Boykov, Jolly, "Interactive graph cuts for optimal boundary and region
segmentation of objects in N-D images" (2001); Rother, Kolmogorov, Blake,
"GrabCut: interactive foreground extraction using iterated graph cuts" (2004).
Colours of object and background are mixtures of five Gaussians each; a
boundary costs gamma exp(-beta |dI|^2) / distance on the 8-connected grid, beta
one over twice the mean of |dI|^2; the least energy is found by max-flow.

Differs from Boykov and Jolly in the mixtures, where they have histograms of
grey. Mixtures start from k-means of the colours, as in OpenCV. Runs on the
host.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxseg.classical.crf import cuts, grid
from jaxseg.types import UserError

GAMMA = 50.0  # GrabCut's weight of the boundary
COMPONENTS = 5
UNKNOWN, BACKGROUND, OBJECT = 0, 1, 2


class Mixture(NamedTuple):
  """Gaussians of colours: weight (k,), mean (k, 3), covariance (k, 3, 3)."""

  weight: np.ndarray
  mean: np.ndarray
  covariance: np.ndarray


def fit(colours: np.ndarray, member: np.ndarray) -> Mixture:
  """The mixture whose components have these members.

  Args:
    colours: (n, 3) in levels of 255.
    member: int (n,), the component of each.
  """
  used = np.unique(member)
  groups = [colours[member == k] for k in used]
  means = np.stack([g.mean(0) for g in groups])
  # 0.01 of a level keeps a component of one colour invertible.
  covariances = np.stack(
    [
      (g - m).T @ (g - m) / len(g) + 0.01 * np.eye(colours.shape[1])
      for g, m in zip(groups, means)
    ]
  )
  weight = np.array([len(g) for g in groups]) / len(colours)
  return Mixture(weight, means, covariances)


def log_densities(mixture: Mixture, colours: np.ndarray) -> np.ndarray:
  """log of weight times density of each component, (n, k)."""
  found = []
  for weight, mean, covariance in zip(*mixture):
    off = colours - mean
    mahalanobis = (off @ np.linalg.inv(covariance) * off).sum(1)
    _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
    found.append(np.log(weight) - (mahalanobis + log_det) / 2)
  return np.stack(found, 1)


def cluster(
  colours: np.ndarray, k: int = COMPONENTS, seed: int = 0, rounds: int = 10
) -> np.ndarray:
  """k-means (Lloyd) from spread starts (k-means++): int (n,)."""
  rng = np.random.default_rng(seed)
  centres = colours[rng.integers(len(colours))][None]
  while len(centres) < k:
    near = _squares(colours, centres).min(1)
    if not near.any():
      break  # fewer colours than components
    chosen = rng.choice(len(colours), p=near / near.sum())
    centres = np.concatenate([centres, colours[chosen][None]])
  for _ in range(rounds):
    member = _squares(colours, centres).argmin(1)
    centres = np.stack(
      [
        colours[member == i].mean(0) if (member == i).any() else centre
        for i, centre in enumerate(centres)
      ]
    )
  return _squares(colours, centres).argmin(1)


def _squares(colours, centres):
  return ((colours[:, None] - centres[None]) ** 2).sum(-1)


def graph_cut(
  image: np.ndarray,
  object_seeds: np.ndarray,
  background_seeds: np.ndarray,
  gamma: float = GAMMA,
) -> np.ndarray:
  """The object whose seeds are given, by one exact cut.

  Args:
    image: (h, w, 3) RGB in levels of 255.
    object_seeds: bool (h, w), pixels of the object; they stay.
    background_seeds: bool (h, w), pixels that are not; they stay.
    gamma: weight of the boundary.

  Returns:
    bool (h, w).

  Raises:
    UserError: no seeds of a kind, a pixel with both, other sizes.
  """
  image = _colours(image)
  inside, outside = (
    np.asarray(s, bool) for s in (object_seeds, background_seeds)
  )
  for seeds, kind in ((inside, "object"), (outside, "background")):
    if seeds.shape != image.shape[:2]:
      raise UserError(
        f"the {kind} seeds have shape {seeds.shape}, and the image "
        f"{image.shape}: expected one value per pixel."
      )
    if not seeds.any():
      raise UserError(
        f"there are no {kind} seeds: mark at least one pixel of the object "
        "and one of the background."
      )
  both = inside & outside
  if both.any():
    y, x = np.argwhere(both)[0]
    raise UserError(
      f"{both.sum()} pixels are seeds of object and background, the first at "
      f"row {y}, column {x}: expected at most one of the two per pixel."
    )
  marks = np.where(inside, OBJECT, np.where(outside, BACKGROUND, UNKNOWN))
  mixtures = [fit(c, cluster(c)) for c in (image[outside], image[inside])]
  return _cut(image, marks, mixtures, _edges(image, gamma))


def grabcut(
  image: np.ndarray,
  box: tuple[int, int, int, int] | None = None,
  marks: np.ndarray | None = None,
  iterations: int = 5,
  gamma: float = GAMMA,
) -> np.ndarray:
  """The object in a box, by cuts and mixtures in turn.

  Args:
    image: (h, w, 3) RGB in levels of 255.
    box: y0, x0, y1, x1 in pixels; what is outside is background.
    marks: int (h, w) of UNKNOWN, BACKGROUND and OBJECT, instead of a box or
      to correct what is in it.
    iterations: at most; it ends when nothing changes.
    gamma: weight of the boundary.

  Returns:
    bool (h, w).

  Raises:
    UserError: neither box nor marks, or they leave nothing to decide or
      nothing outside.
  """
  image = _colours(image)
  marks = _marks(image, box, marks)
  object_ = marks != BACKGROUND
  pairs = _edges(image, gamma)
  colours = image.reshape(-1, image.shape[-1])
  mixtures = None
  for _ in range(iterations):
    sides = (colours[~object_.ravel()], colours[object_.ravel()])
    if mixtures is None:
      mixtures = [fit(c, cluster(c)) for c in sides]
    members = [log_densities(m, c).argmax(1) for m, c in zip(mixtures, sides)]
    mixtures = [fit(c, m) for c, m in zip(sides, members)]
    new = _cut(image, marks, mixtures, pairs)
    if not new.any() or (new == object_).all():
      object_ = new
      break  # nothing changes any more, or there is nothing
    object_ = new
  return object_


def _colours(image):
  image = np.asarray(image, np.float64)
  if image.ndim != 3:
    raise UserError(
      f"the image has shape {image.shape}: expected (h, w, channels)."
    )
  return image


def _marks(image, box, marks):
  h, w = image.shape[:2]
  if marks is None and box is None:
    raise UserError("neither a box nor marks: give one of them.")
  marks = np.zeros((h, w), int) if marks is None else np.array(marks)
  if marks.shape != (h, w):
    raise UserError(
      f"the marks have shape {marks.shape}, and the image {image.shape}: "
      "expected one mark per pixel."
    )
  if box is not None:
    y0, x0, y1, x1 = box
    if not (0 <= y0 < y1 <= h and 0 <= x0 < x1 <= w):
      raise UserError(
        f"box {tuple(box)} does not lie in an image of {h}x{w}: expected y0, "
        "x0, y1, x1 with y0 < y1 and x0 < x1."
      )
    outside = np.ones((h, w), bool)
    outside[y0:y1, x0:x1] = False
    if (marks[outside] == OBJECT).any():
      raise UserError(
        f"{(marks[outside] == OBJECT).sum()} pixels are marked as object "
        f"outside box {tuple(box)}: move the marks or the box."
      )
    marks[outside] = BACKGROUND
  for kind, found in (
    ("background", marks == BACKGROUND),
    ("object", marks != BACKGROUND),
  ):
    if not found.any():
      raise UserError(
        f"no pixel can be {kind}: choose a smaller box, or other marks, that "
        "leave some of both."
      )
  return marks


def _edges(image, gamma):
  # In float32 levels squared; the strength is that of equal neighbours.
  weights = np.asarray(grid.contrast_weights(image[None], gamma))[0]
  return grid.edges(weights)


def _cut(image, marks, mixtures, pairs):
  """bool (h, w): the least energy that keeps the marks."""
  edges, weights = pairs
  colours = image.reshape(-1, image.shape[-1])
  unary = np.stack(
    [-np.logaddexp.reduce(log_densities(m, colours), 1) for m in mixtures], 1
  )
  # More than all edges of a pixel together, and than any colour says.
  n = len(colours)
  around = np.bincount(edges.ravel(), np.repeat(weights, 2), n)
  certain = 1 + around.max() + np.abs(unary).max()
  flat = marks.ravel()
  unary[flat == BACKGROUND] = (0, certain)
  unary[flat == OBJECT] = (certain, 0)
  tables = weights[:, None, None] * (1 - np.eye(2))
  return cuts.minimise_binary(unary, edges, tables).reshape(marks.shape) == 1
