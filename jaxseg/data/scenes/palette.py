"""Random colours and light, in linear RGB.

Each class has its family of hues, as grass and brick have: balls are yellow,
boxes blue, columns green, shirts pink, paths red. Within the family tone,
pattern and light vary so much that no fixed colour is a class, yet a small
network learns the scenes in minutes. Skin, hair, trousers, shade, sky and snow
overlap with other classes: there form and place must tell.
"""

from __future__ import annotations

import colorsys
import math

import numpy as np

from jaxseg.data.scenes.texture import Material

_EARTH = (  # grass, dry grass, sand, soil, snow; display RGB
  ((0.34, 0.44, 0.18), (0.24, 0.33, 0.12)),
  ((0.58, 0.55, 0.34), (0.46, 0.44, 0.26)),
  ((0.76, 0.69, 0.54), (0.67, 0.58, 0.43)),
  ((0.44, 0.36, 0.27), (0.34, 0.27, 0.20)),
  ((0.90, 0.92, 0.95), (0.78, 0.82, 0.88)),
)
_PAVING = (  # clay, brick, red sandstone
  ((0.66, 0.30, 0.22), (0.48, 0.22, 0.17)),
  ((0.56, 0.24, 0.20), (0.68, 0.36, 0.28)),
  ((0.74, 0.42, 0.34), (0.58, 0.30, 0.25)),
)
_HUES = {"sphere": 0.13, "box": 0.63, "cylinder": 0.43}  # of 1
_SHIRTS = 0.88
_LIKES = {"sphere": "stripes", "box": "checker", "cylinder": "noise"}
_SKIN = ((0.93, 0.76, 0.64), (0.80, 0.60, 0.45), (0.50, 0.34, 0.25))
_HAIR = ((0.12, 0.09, 0.07), (0.38, 0.25, 0.14), (0.80, 0.66, 0.38))


def _linear(color) -> np.ndarray:
  """Display RGB (3,) -> linear, gamma 2 (undone by a square root)."""
  return np.asarray(color, np.float64) ** 2


def _near(rng, color, spread=0.05) -> np.ndarray:
  jitter = rng.uniform(-spread, spread, 3)
  return _linear(np.clip(np.asarray(color) + jitter, 0.03, 0.97))


def _vivid(rng, hue, saturation=(0.55, 0.95), value=(0.45, 0.95)) -> np.ndarray:
  hue = (hue + rng.normal(0.0, 0.03)) % 1.0
  hsv = hue, rng.uniform(*saturation), rng.uniform(*value)
  return _linear(colorsys.hsv_to_rgb(*hsv))


def _seed(rng) -> int:
  return int(rng.integers(1 << 31))


def floor(rng: np.random.Generator) -> tuple[Material, Material]:
  """Ground and path."""
  first, second = _EARTH[rng.integers(len(_EARTH))]
  shift = rng.uniform(-0.08, 0.08)
  ground = Material(
    "noise",
    _near(rng, np.add(first, shift)),
    _near(rng, np.add(second, shift)),
    scale=rng.uniform(0.5, 1.5),
    grain=rng.uniform(0.2, 0.4),
    seed=_seed(rng),
  )
  first, second = _PAVING[rng.integers(len(_PAVING))]
  path = Material(
    str(rng.choice(["tiles", "tiles", "noise"])),
    _near(rng, first),
    _near(rng, second),
    scale=rng.uniform(0.4, 0.8),
    grain=0.15,
    seed=_seed(rng),
  )
  return ground, path


def wall(rng: np.random.Generator) -> Material:
  """Brick or plaster."""
  pattern = str(rng.choice(["bricks", "bricks", "noise"]))
  second = _near(rng, (0.72, 0.70, 0.66))
  first = _near(rng, (0.50, 0.48, 0.47))
  scale = rng.uniform(0.7, 1.2)
  return Material(pattern, first, second, scale, 0.25, _seed(rng))


def solid(rng: np.random.Generator, kind: str) -> Material:
  """Two colours in a pattern; `kind`: sphere, box or cylinder."""
  pattern = _LIKES[kind]
  if rng.uniform() < 0.6:
    pattern = str(rng.choice(["plain", "noise", "stripes", "checker"]))
  first, second = (_vivid(rng, _HUES[kind]) for _ in range(2))
  scale = rng.uniform(0.25, 0.6)
  return Material(pattern, first, second, scale, 0.2, _seed(rng))


def garments(rng: np.random.Generator) -> dict[str, Material]:
  """Materials of a person's skin, hair and clothes."""

  def cloth(color, pattern="plain", second=None):
    second = color if second is None else second
    return Material(pattern, color, second, 0.16, 0.0, _seed(rng))

  skin = cloth(_near(rng, _SKIN[rng.integers(len(_SKIN))]))
  shirt_color, other = _vivid(rng, _SHIRTS), _vivid(rng, _SHIRTS)
  pattern = "rings" if rng.uniform() < 0.3 else "plain"
  shirt = cloth(shirt_color, pattern, other)
  trousers = cloth(_vivid(rng, _SHIRTS - 0.08, (0.2, 0.6), (0.15, 0.45)))
  return {
    "skin": skin,
    "hair": cloth(_near(rng, _HAIR[rng.integers(len(_HAIR))])),
    "shirt": shirt,
    "sleeve": shirt if rng.uniform() < 0.7 else skin,
    "trousers": trousers,
    "shoes": cloth(_vivid(rng, _SHIRTS, (0.0, 0.4), (0.1, 0.4))),
  }


def light(rng: np.random.Generator, yaw: float) -> dict[str, object]:
  """Sun, ambient and sky; `yaw` is where the camera looks.

  The sun stands 25 to 65 degrees high and not straight ahead, so that the
  sides in view are rarely all in shade.
  """
  high = math.radians(rng.uniform(25.0, 65.0))
  side = yaw + rng.choice([-1.0, 1.0]) * rng.uniform(0.9, 3.0)
  sun = np.array(
    [
      -math.sin(side) * math.cos(high),
      math.cos(side) * math.cos(high),
      math.sin(high),
    ]
  )
  mood = rng.choice(3, p=[0.6, 0.25, 0.15])  # clear, overcast, evening
  if mood == 0:
    zenith, horizon = (0.28, 0.48, 0.82), (0.72, 0.83, 0.93)
    color, direct, ambient = (1.0, 0.97, 0.9), 1.0, (0.34, 0.38, 0.45)
  elif mood == 1:
    zenith, horizon = (0.62, 0.66, 0.72), (0.80, 0.82, 0.84)
    color, direct, ambient = (1.0, 1.0, 1.0), 0.5, (0.55, 0.56, 0.58)
  else:
    zenith, horizon = (0.36, 0.40, 0.62), (0.95, 0.72, 0.52)
    color, direct, ambient = (1.0, 0.80, 0.58), 1.0, (0.34, 0.32, 0.38)
  gain = rng.uniform(0.85, 1.15)
  return {
    "sun": sun,
    "sunlight": gain * direct * np.array(color),
    "ambient": gain * rng.uniform(0.85, 1.15) * np.array(ambient),
    "sky": {
      "zenith": _near(rng, zenith),
      "horizon": _near(rng, horizon, 0.04),
      "cloud": _near(rng, (0.93, 0.93, 0.94), 0.04),
      "cover": np.array(rng.uniform(0.35, 0.65)),
      "seed": np.array(_seed(rng)),
    },
  }
