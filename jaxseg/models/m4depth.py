"""M4Depth: depth from a moving camera, frame by frame.

Fonder, Ernst, Van Droogenbroeck, "M4Depth: Monocular depth estimation for
autonomous vehicles in unseen environments" (2022, arXiv:2105.09847), from its
equations alone. Six levels, coarse to fine; each looks along the line on
which a pixel must have moved (`ops.parallax`), around the parallax that the
coarser level found, and refines it. What a frame leaves to the next one is its
features and its depth: the state of a recurrence that trains on clips and
runs on a stream with the same parameters.

Normalisation of the first convolution: see `domain_norm`.
Differs from the paper in what it does not say or leaves open: levels of any
size, rounded up, in place of images that divide by 64; a point is never
nearer than a twentieth of its distance from the previous camera, so that
there is a gradient where the parallax is too large; where no parallax is
defined (the camera stood still or only turned) the previous depth stays;
outside of the previous frame the coarser level stands in for its depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.models import domain_norm
from jaxseg.ops import camera as cam
from jaxseg.ops import cost_volume, parallax, resize, warp

Array = jax.Array
FAR = 1000.0  # metres, everywhere, before anything has moved
LEAST = 0.05  # of the distance from the previous camera
LIMIT = 7.0  # of the logarithm of the parallax


class State(flax.struct.PyTreeNode):
  """What a frame leaves to the next one, per level from fine to coarse.

  Attributes:
    features: (b, h, w, c) each, of unit sub-vectors.
    inverse: (b, h, w) each, 1 / depth.
  """

  features: tuple[Array, ...]
  inverse: tuple[Array, ...]


def cuts(level: int) -> int:
  """Sub-vectors per pixel of level 1, 2, ...: 1, 2, 2, 4, 4, 8."""
  return 2 ** (level // 2)


def to_code(rho: Array, level: int) -> Array:
  """Parallax in pixels of a level -> its logarithm, the same on all levels.

  0 is 8 pixels of the image.
  """
  least = jnp.exp(-LIMIT) * 2.0 ** (3 - level)
  return jnp.clip(
    jnp.log(jnp.maximum(rho, least)) + (level - 3) * jnp.log(2.0), -LIMIT, LIMIT
  )


def from_code(code: Array, level: int) -> Array:
  """exp(clip(code)) / 2^(level - 3), pixels of the level."""
  return jnp.exp(jnp.clip(code, -LIMIT, LIMIT)) * 2.0 ** (3 - level)


def camera_of(camera: Array, level: int) -> Array:
  """Intrinsics (..., 4) of a level: its pixels are 2^level wide."""
  return camera / 2.0**level


class Encoder(nn.Module):
  """Per level 3x3, then 3x3 with stride 2; see `M4Depth`."""

  widths: tuple[int, ...]
  dtype: str

  @nn.compact
  def __call__(self, x: Array) -> tuple[Array, ...]:
    """(b, h, w, 3) -> (b, ceil(h / 2^l), ceil(w / 2^l), width) per level."""
    out = []
    for level, width in enumerate(self.widths, 1):
      x = layers.Conv(width, dtype=self.dtype, name=f"level{level}_a")(x)
      if level == 1:
        x = domain_norm.DomainNorm(name="norm")(x)
      x = nn.leaky_relu(x, 0.1)
      x = layers.Conv(
        width, stride=2, dtype=self.dtype, name=f"level{level}_b"
      )(x)
      x = nn.leaky_relu(x, 0.1)
      out.append(cost_volume.unit_cuts(x, cuts(level)))
    return tuple(out)


class Refiner(nn.Module):
  """3x3 convolutions to the code of the parallax and the memory."""

  widths: tuple[int, ...]
  memory: int
  dtype: str

  @nn.compact
  def __call__(self, x: Array) -> tuple[Array, Array]:
    """(b, h, w, c) -> (b, h, w) code, (b, h, w, memory)."""
    for i, width in enumerate(self.widths):
      x = layers.Conv(width, dtype=self.dtype, name=f"conv{i}")(x)
      x = nn.leaky_relu(x, 0.1)
    x = layers.Conv(1 + self.memory, name="head")(x.astype(jnp.float32))
    return jnp.clip(x[..., 0], -LIMIT, LIMIT), x[..., 1:]


def _enlarged(x: Array, size: tuple[int, int]) -> Array:
  """(b, h, w, c) of the coarser level -> (b, *size, c)."""
  twice = (2 * x.shape[1], 2 * x.shape[2])
  return resize.crop(resize.resize_bilinear(x, twice), *size)


class Decoder(nn.Module):
  """One frame, from the coarsest level to the finest; see `M4Depth`."""

  refiner: tuple[int, ...]
  memory: int
  reach: int
  radius: int
  dtype: str

  @nn.compact
  def __call__(
    self, state: State, frame: tuple[tuple[Array, ...], Array, Array]
  ) -> tuple[State, tuple[Array, ...]]:
    """(state, (features, camera (b, 4), motion (b, 4, 4))) -> new state and
    the logarithm of the depth (b, h, w) per level."""
    features, camera, motion = frame
    inverse: list[Array] = []
    carried = None  # code and memory (b, h, w, 1 + memory)
    for level in range(len(features), 0, -1):
      now, size = features[level - 1], features[level - 1].shape[1:3]
      if carried is None:
        carried = jnp.zeros((*now.shape[:3], 1 + self.memory), jnp.float32)
      else:
        carried = _enlarged(carried, size)
      line = parallax.lines(camera_of(camera, level), motion, size)
      guess = from_code(carried[..., 0], level)
      before = self._before(line, guess, state.inverse[level - 1])
      code, memory = Refiner(
        self.refiner, self.memory, self.dtype, name=f"level{level}"
      )(
        jnp.concatenate(
          [
            self._sweep(now, state.features[level - 1], line, guess, level),
            cost_volume.self_similarity(now, self.radius, cuts(level)),
            carried,
            to_code(before * line.size, level)[..., None],
          ],
          -1,
        )
      )
      carried = jnp.concatenate([code[..., None], memory], -1)
      inverse.append(inverse_depth(line, from_code(code, level), before))
    inverse = tuple(inverse[::-1])
    log_depth = tuple(-jnp.log(x) for x in inverse)
    return State(features, inverse), log_depth

  def _before(self, line: parallax.Lines, guess: Array, old: Array) -> Array:
    """1 / (depth from the previous camera), as the previous frame has it.

    (b, h, w); outside of that frame what the guess (pixels) says.
    """
    at = parallax.places(line, guess)
    seen, inside = warp.sample(old[..., None], at)
    said = guess / jnp.where(line.defined, line.size, 1.0)
    said = jnp.where(line.defined, said, 1 / FAR)
    return jnp.where(inside, seen[..., 0], said)

  def _sweep(self, now, old, line, guess, level):
    steps = jnp.arange(-self.reach, self.reach + 1, dtype=jnp.float32)
    at = parallax.places(line, guess[..., None] + steps)
    return cost_volume.sweep(now, old, at, cuts(level))


def inverse_depth(line: parallax.Lines, rho: Array, before: Array) -> Array:
  """1 / depth (b, h, w) of a parallax rho (pixels).

  With z' the depth from the previous camera, z' = |D| / rho, the depth is
  (z' - t_z) / a; see `parallax`. Where that is not defined z' is 1 / `before`.
  """
  known = line.defined
  there = jnp.where(known, line.size, 1.0) / jnp.where(known, rho, 1.0)
  there = jnp.where(known, there, 1 / jnp.maximum(before, 1e-6))
  ahead = jnp.maximum(there - line.forward, LEAST * there)
  return jnp.maximum(line.turn, cam.NEAR) / ahead


class M4Depth(nn.Module):
  """See the module.

  Args:
    outputs: {'depth': 1}.
    widths: channels of the encoder, per level.
    refiner: channels of the refiners' convolutions.
    memory: channels that a level leaves to the next finer one.
    reach: the sweep looks that many pixels of the level to both sides.
    radius: of the neighbourhood in the spatial volume.
    dtype: compute dtype of the convolutions.
  """

  outputs: Mapping[str, int]
  widths: tuple[int, ...] = (16, 32, 64, 96, 128, 192)
  refiner: tuple[int, ...] = (128, 128, 96, 64, 32, 16)
  memory: int = 4
  reach: int = 4
  radius: int = 3
  dtype: str = "float32"

  min_size = 1
  reads = ("image", "camera", "motion")

  def __post_init__(self):
    if dict(self.outputs) != {"depth": 1}:
      raise types.UserError(
        f"m4depth predicts depth alone, and the task wants "
        f"{', '.join(self.outputs)}: set config.task.name = 'video_depth'."
      )
    super().__post_init__()

  def setup(self):
    """The two parts, shared by clips and streams."""
    self.encoder = Encoder(self.widths, self.dtype)
    self.decoder = Decoder(
      self.refiner, self.memory, self.reach, self.radius, self.dtype
    )

  def __call__(
    self, image: Array, camera: Array, motion: Array, *, train: bool
  ) -> dict[str, Array]:
    """A clip; the state starts with its first frame.

    Args:
      image: (b, t, h, w, 3) in [0, 1], t of at least 2.
      camera: (b, 4) or (b, t, 4) fx, fy, cx, cy in pixels of the image; two
        frames that are compared share that of the later one.
      motion: (b, t, 4, 4) previous camera from this one; the first is not
        read.
      train: adds the coarser levels, for their losses.

    Returns:
      depth (b, t, h, w, 1), the logarithm of metres, the finest level
      enlarged (bilinear); log FAR in the first frame. In training aux2 ...
      aux6, (b, t, h / 2^l, w / 2^l, 1), rounded up.
    """
    self._check(image)
    b, t, h, w, _ = image.shape
    if camera.ndim == 2:
      camera = jnp.broadcast_to(camera[:, None], (b, t, 4))
    every = self.encoder(image.reshape(b * t, h, w, -1))
    every = tuple(x.reshape(b, t, *x.shape[1:]) for x in every)
    state = self._start(tuple(x[:, 0] for x in every))
    rest = (tuple(x[:, 1:] for x in every), camera[:, 1:], motion[:, 1:])
    # XLA:CPU takes 29 times as long for gradients of convolutions in a loop.
    _, levels = self._scan(state, rest, unroll=t - 1 if train else 1)
    first = jnp.log(FAR)
    levels = [
      jnp.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)), constant_values=first)
      for x in levels
    ]
    out = {"depth": self._full(levels[0], (h, w))}
    if train:
      out |= {f"aux{i}": x[..., None] for i, x in enumerate(levels[1:], 2)}
    return out

  def start(self, image: Array) -> State:
    """The state after the first frame of a stream, (b, h, w, 3)."""
    self._check(image[:, None].repeat(2, 1))
    return self._start(self.encoder(image))

  def step(
    self, state: State, image: Array, camera: Array, motion: Array
  ) -> tuple[State, dict[str, Array]]:
    """One more frame of a stream.

    Args:
      state: from `start`, or the last `step`.
      image: (b, h, w, 3).
      camera: (b, 4).
      motion: (b, 4, 4) previous camera from this one.

    Returns:
      the new state, and depth (b, h, w, 1), the logarithm of metres.
    """
    frame = (self.encoder(image), camera, motion)
    one = jax.tree.map(lambda x: x[:, None], frame)
    state, levels = self._scan(state, one)
    return state, {"depth": self._full(levels[0], image.shape[1:3])[:, 0]}

  def _check(self, clip: Array) -> None:
    if clip.ndim != 5 or clip.shape[1] < 2 or min(clip.shape[2:4]) < 1:
      raise types.UserError(
        f"model 'm4depth' got clips of shape {tuple(clip.shape)}; expected (b, "
        "t, h, w, 3) with t of at least 2: use longer clips."
      )

  def _start(self, features: tuple[Array, ...]) -> State:
    inverse = tuple(jnp.full(x.shape[:3], 1 / FAR) for x in features)
    return State(features, inverse)

  def _scan(
    self, state: State, frames: Any, unroll: int = 1
  ) -> tuple[State, Any]:
    """The new state and, per level, log-depth (b, t, h_l, w_l)."""
    scan = nn.scan(
      lambda decoder, state, frame: decoder(state, frame),
      variable_broadcast="params",
      split_rngs={"params": False},
      in_axes=1,
      out_axes=1,
      unroll=unroll,
      # Traces the body once more, which only makes the parameters need.
      check_constancy_invariants=self.is_initializing(),
    )
    return scan(self.decoder, state, frames)

  def _full(self, log_depth: Array, size: tuple[int, int]) -> Array:
    """(b, t, h, w) of the finest level -> (b, t, *size, 1)."""
    b, t = log_depth.shape[:2]
    flat = log_depth.reshape(b * t, *log_depth.shape[2:], 1)
    return _enlarged(flat, size).reshape(b, t, *size, 1)
