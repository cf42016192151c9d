"""Keypoints of the one person or face of each example, in three ways.

  heatmap  a map per point, trained on Gaussians of peak 1 by the squared
           error (Xiao et al. 2018, arXiv:1804.06208)
  one_hot  a softmax over all positions of a map, trained on the one cell of
           the point (Mask R-CNN, He et al. 2017, arXiv:1703.06870)
  direct   x and y of each point as shares of the image, averaged over all
           positions (DeepPose, Toshev and Szegedy 2013, arXiv:1312.4659)

batch['keypoints'] is (b, 1, k, 3): one person per example, from data sets of
crops or by the transform `person`; the prediction has the same shape. Networks
give maps of the image's size; the first two methods average them over cells
of `stride` pixels, at which the targets are made and the answer is read.
Differs from the first paper: cell i covers the pixels from i * stride on
(offset stride / 2), so that flipped views need no shift by a cell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import KEYPOINT_LOSSES
from jaxseg.metrics import nme, oks, pck
from jaxseg.ops import heatmaps, resize
from jaxseg.types import Array, Batch, Mean, Metric, Outputs, UserError

Pair = tuple[int, int]
HEAD = "keypoints"
DECODERS = ("argmax", "quarter", "soft")


@dataclasses.dataclass(frozen=True)
class Keypoints:
  """See the module. Implements types.Task.

  Attributes:
    names: one per point.
    flip_pairs: (right, left) points that a mirror swaps.
    bones: points that pictures join.
    sigmas: of OKS; (): no OKS.
    eyes: two points whose distance NME divides by; None: no NME.
    torso: two points whose distance PCK measures by; None: the eyes', or the
      longer side of the person's box.
    head: two points whose distance PCKh measures by; None: no PCKh.
    method: 'heatmap', 'one_hot' or 'direct'.
    stride: pixels a side of a cell ('heatmap', 'one_hot').
    sigma: of the Gaussians, in cells ('heatmap').
    decode: 'argmax', 'quarter' (a quarter of a cell toward the higher
      neighbour) or 'soft' (mean position within 3 sigma of the argmax).
    alpha: PCK's share of the length.
    losses: ((name in KEYPOINT_LOSSES[method], weight, ((option, value), ...)),
      ...); (): the method's first.
  """

  names: tuple[str, ...]
  flip_pairs: tuple[Pair, ...] = ()
  bones: tuple[Pair, ...] = ()
  sigmas: tuple[float, ...] = ()
  eyes: Pair | None = None
  torso: Pair | None = None
  head: Pair | None = None
  method: str = "heatmap"
  stride: int = 4
  sigma: float = 2.0
  decode: str = "quarter"
  alpha: float = 0.2
  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = ()

  name = "keypoints"
  registry = MappingProxyType(
    {k: v for losses in KEYPOINT_LOSSES.values() for k, v in losses.items()}
  )
  per_pixel = False  # the answer is a list of points, not a map

  def __post_init__(self):
    for key, choices in (
      ("method", tuple(KEYPOINT_LOSSES)),
      ("decode", DECODERS),
    ):
      if getattr(self, key) not in choices:
        raise UserError(
          f"config.task.{key} = {getattr(self, key)!r} is not known: expected "
          f"one of {', '.join(choices)}."
        )
    for key in ("stride", "sigma", "alpha"):
      if not getattr(self, key) > 0:
        raise UserError(
          f"config.task.{key} = {getattr(self, key)}: expected more than 0."
        )
    known = KEYPOINT_LOSSES[self.method]
    for name, *_ in self.losses:
      if name not in known:
        raise UserError(
          f"config.task.losses names {name!r}, which is no loss of "
          f"config.task.method = {self.method!r}: expected {', '.join(known)}."
        )
    if not self.losses:
      first = next(iter(known))
      object.__setattr__(self, "losses", ((first, 1.0, ()),))

  @property
  def best(self) -> tuple[str, str]:
    """What decides which checkpoint is best: NME of faces, else PCK."""
    return ("nme", "min") if self.eyes else ("pck", "max")

  @property
  def windows(self) -> bool:
    """Whether outputs of windows can be blended into those of the image."""
    return self.method == "heatmap"

  @property
  def outputs(self) -> dict[str, int]:
    """One head: a map per point, or its x and y."""
    return {HEAD: len(self.names) * (2 if self.method == "direct" else 1)}

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads the keypoints."""
    return ("keypoints",)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, over the seen points."""
    points = self._points(batch)  # (b, k, 3)
    cells = {"stride": float(self.stride), "offset": self.stride / 2}
    if self.method == "direct":
      h, w = out[HEAD].shape[1:3]
      pred = self._shares(out)
      target = points[..., :2] / jnp.array([w, h], jnp.float32)
      weight = (points[..., 2] > 0).astype(jnp.float32)
    elif self.method == "heatmap":
      pred = self._maps(out)
      target, weight = heatmaps.gaussian(
        points, pred.shape[1:3], sigma=self.sigma, **cells
      )
    else:
      pred = self._maps(out)
      target, weight = heatmaps.cells(points, pred.shape[1:3], **cells)
    return {
      name: KEYPOINT_LOSSES[self.method][name](
        pred, target, weight=weight, mask=batch.get("_mask"), **dict(options)
      ).scaled(factor)
      for name, factor, options in self.losses
    }

  def predict(self, out: Outputs) -> dict[str, Array]:
    """keypoints float32 (b, 1, k, 3): x, y in pixels of the image, a score.

    The score is the height of the map, the probability of the position, or 1
    ('direct', which has none).
    """
    h, w = out[HEAD].shape[1:3]
    limit = jnp.array([w, h], jnp.float32)
    if self.method == "direct":
      xy = self._shares(out) * limit
      points = jnp.concatenate([xy, jnp.ones_like(xy[..., :1])], -1)
    else:
      points = self._read(self._maps(out))
    # Cells at the border may be cut off by it.
    xy = jnp.clip(points[..., :2], 0, limit)
    points = jnp.concatenate([xy, points[..., 2:]], -1)
    return {"keypoints": points[:, None]}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities of positions; heights and coordinates as they are."""
    if self.method != "one_hot":
      return dict(out)
    return {HEAD: jax.nn.softmax(out[HEAD], (1, 2))}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Back to logits, up to a constant; the others as they are."""
    if self.method != "one_hot":
      return dict(out)
    return {HEAD: jnp.log(jnp.maximum(out[HEAD], 1e-30))}

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right and swaps the channels of left and right points."""
    order = np.arange(len(self.names))
    for a, b in self.flip_pairs:
      order[a], order[b] = b, a
    x = jnp.flip(out[HEAD], axis=2)
    if self.method != "direct":
      return {HEAD: x[..., order]}
    pairs = x.reshape(*x.shape[:3], -1, 2)[..., order, :]
    mirror = jnp.array([-1.0, 1.0], x.dtype)  # about the middle, see _shares
    return {HEAD: (pairs * mirror).reshape(x.shape)}

  def metrics(self) -> dict[str, Metric]:
    """PCK, and NME, PCKh and OKS where the data set says how."""
    names = () if self.eyes else self.names
    found = {"pck": pck(self.alpha, self.torso or self.eyes, names)}
    if self.eyes:
      found["nme"] = nme(self.eyes)
    if self.head:
      found["pckh"] = pck(0.5, self.head, title="pckh")
    if self.sigmas:
      found["oks"] = oks(self.sigmas)
    return found

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Truth and prediction over the image, bones between the points, and the
    way from the one to the other."""
    pictures = {}
    for title, points in (
      ("truth", batch.get("keypoints")),
      ("prediction", pred["keypoints"]),
    ):
      if points is not None:
        pictures[title] = np.stack(
          [
            viz.skeleton(image, people, self.bones, self.flip_pairs)
            for image, people in zip(batch["image"], np.asarray(points))
          ]
        )
    if "truth" in pictures:
      triples = zip(batch["image"], pred["keypoints"], batch["keypoints"])
      pictures["error"] = np.stack(
        [viz.point_error(*map(np.asarray, triple)) for triple in triples]
      )
    return pictures

  def _points(self, batch: Batch) -> Array:
    """(b, 1, k, 3) -> (b, k, 3)."""
    points = batch["keypoints"]
    if points.shape[1:] != (1, len(self.names), 3):
      raise UserError(
        f"keypoints of shape {points.shape} hold {points.shape[1]} people of "
        f"{points.shape[2]} points: expected (b, 1, {len(self.names)}, 3); put "
        "'person' at the head of config.data.augment and config.data.eval, for "
        "the crop around one of them."
      )
    return points[:, 0]

  def _maps(self, out: Outputs) -> Array:
    """(b, h, w, k) -> means over cells; what is lacking repeats the border."""
    s = self.stride
    x = resize.pad_to_stride(out[HEAD].astype(jnp.float32), s)
    b, h, w, k = x.shape
    return x.reshape(b, h // s, s, w // s, s, k).mean((2, 4))

  def _shares(self, out: Outputs) -> Array:
    """(b, h, w, 2 k) -> (b, k, 2): 0 is the middle of the image, +-.5 ends."""
    x = out[HEAD].astype(jnp.float32).mean((1, 2))
    return x.reshape(len(x), -1, 2) + 0.5

  def _read(self, maps: Array) -> Array:
    """(b, h', w', k) -> (b, k, 3)."""
    if self.method == "one_hot":
      maps = jax.nn.softmax(maps, (1, 2))
    cells = {"stride": float(self.stride), "offset": self.stride / 2}
    if self.decode == "argmax":
      return heatmaps.argmax(maps, **cells)
    if self.decode == "quarter":
      return heatmaps.quarter_argmax(maps, **cells)
    return heatmaps.soft_argmax(maps, radius=3 * self.sigma, **cells)
