"""Depth of a moving camera: clips with intrinsics and motion in, metres out.

The loss of M4Depth (Fonder et al. 2022, arXiv:2105.09847): L1 between the
logarithms of depth, both clipped to [0.01, 200] metres, at every level, level i
(1 is the finest) with the weight 0.64 / 2^(i - 1), a mean over the frames of a
clip but for the first, of which nothing is known yet. Coarse levels are
enlarged to the truth, every pixel of a block the same, so that all measured
pixels count at all levels. Metrics too leave out the first frame; their range
is `min_m` to `max_m`, which the loss does not know.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg import losses
from jaxseg.ops import resize
from jaxseg.tasks.depth_maps import DepthMaps
from jaxseg.types import Array, Batch, Mean, Metric, Outputs, UserError

NEAR, FAR = 0.01, 200.0  # metres; nearer and farther is all the same
WEIGHT = 0.64  # of the finest level


@dataclasses.dataclass(frozen=True)
class VideoDepth(DepthMaps):
  """See the module. Implements types.Task; the network sees clips."""

  min_m: float = 0.1

  name = "video_depth"
  best = ("abs_rel", "min")
  reads = ("image", "camera", "motion")

  @property
  def outputs(self) -> dict[str, int]:
    """One head, the logarithm of the depth in metres."""
    return {"depth": 1}

  @property
  def fields(self) -> tuple[str, ...]:
    """Depth, and what says how the camera saw and moved."""
    return ("depth", "camera", "motion")

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """Image (b, t, h, w, 3), camera (b, t, 4), motion (b, t, 4, 4)."""
    return tuple(batch[key] for key in self.reads)

  def blank(self, size: tuple[int, int]) -> dict[str, Array]:
    """The shortest clip of images of that size, all zeros."""
    return {
      "image": jnp.zeros((1, 2, *size, 3)),
      "camera": jnp.zeros((1, 2, 4)),
      "motion": jnp.zeros((1, 2, 4, 4)),
    }

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One weighted term per level: depth is the finest, aux2, aux3 ...

    Args:
      out: depth (b, t, h, w, 1) and auxi (b, t, h / 2^i, w / 2^i, 1), rounded
        up, log metres.
      batch: depth (b, t, h, w).
    """
    depth = batch["depth"][:, 1:]  # (b, t - 1, h, w)
    valid = (depth > 0) & jnp.isfinite(depth)
    target = _clipped(jnp.log(jnp.where(valid, depth, 1.0)))
    terms = {}
    for head, level in _levels(out).items():
      said = enlarged(out[head][:, 1:, ..., 0], level, depth.shape[2:])
      mean = losses.l1(
        _clipped(said), target, valid=valid, mask=batch.get("_mask")
      )
      name = "l1" if head == "depth" else f"{head}/l1"
      terms[name] = mean.scaled(WEIGHT / 2 ** (level - 1))
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """depth float32 (..., h, w) in metres, within the range.

    Also of a stream, frame by frame; the first frame is as far as it gets.
    """
    low, high = math.log(self.min_m), math.log(self.max_m)
    return {"depth": jnp.exp(jnp.clip(out["depth"][..., 0], low, high))}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Log-depth is averaged as it is."""
    return dict(out)

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Log-depth is averaged as it is."""
    return dict(out)

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return {key: jnp.flip(value, axis=-2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """Those of depth, over the frames of a clip but for the first."""
    one = super().metrics()["depth"]

    def update(state: Any, pred: Mapping[str, Array], batch: Batch) -> Any:
      later = batch["depth"][:, 1:]  # (b, t - 1, h, w)
      frames = {"depth": later.reshape(-1, *later.shape[2:])}
      if batch.get("_mask") is not None:
        frames["_mask"] = jnp.repeat(batch["_mask"], later.shape[1])
      said = pred["depth"][:, 1:].reshape(frames["depth"].shape)
      return one.update(state, {"depth": said}, frames)

    return {"depth": Metric(one.init, update, one.result)}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """The last frame of each clip: image, truth and prediction."""
    last = {
      key: np.asarray(batch[key])[:, -1]
      for key in ("image", "depth")
      if key in batch
    }
    said = {"depth": np.asarray(pred["depth"])[:, -1]}
    return {"image": last["image"], **super().render(last, said)}


def _clipped(log_depth: Array) -> Array:
  return jnp.clip(log_depth, math.log(NEAR), math.log(FAR))


def _levels(out: Outputs) -> dict[str, int]:
  """Head -> its level, 1 for the answer itself."""
  numbers = {k: k.removeprefix("aux") for k in out if k.startswith("aux")}
  return {"depth": 1, **{k: int(v) for k, v in numbers.items()}}


def enlarged(x: Array, level: int, size: tuple[int, int]) -> Array:
  """(b, t, h_l, w_l) of a level -> (b, t, *size): blocks of 2^level a side.

  A map that has the size already stays as it is.

  Raises:
    UserError: the map is not of that level.
  """
  if x.shape[2:] == tuple(size):
    return x
  k = 2**level
  if x.shape[2:] != tuple(-(-n // k) for n in size):
    raise UserError(
      f"level {level} of {x.shape[2]}x{x.shape[3]} pixels does not fit images "
      f"of {size[0]}x{size[1]}: expected a {k}th of it, rounded up."
    )
  x = resize.repeat(resize.repeat(x, k, 2), k, 3)
  return x[:, :, : size[0], : size[1]]
