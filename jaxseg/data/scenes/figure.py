"""A jointed person made of capsules, with the 14 joints of LSP.

Joint order: Johnson and Everingham, "Clustered Pose and Nonlinear Appearance
Models for Human Pose Estimation" (BMVC 2010). Left and right are the
person's own. Lengths are fractions of the body height.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from jaxseg.data.scenes.shapes import Capsule

JOINTS = (
  "right_ankle",
  "right_knee",
  "right_hip",
  "left_hip",
  "left_knee",
  "left_ankle",
  "right_wrist",
  "right_elbow",
  "right_shoulder",
  "left_shoulder",
  "left_elbow",
  "left_wrist",
  "neck",
  "head_top",
)
JOINT_FLIP_PAIRS = ((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9))
BONES = (
  (0, 1),
  (1, 2),
  (2, 3),
  (3, 4),
  (4, 5),
  (6, 7),
  (7, 8),
  (8, 9),
  (9, 10),
  (10, 11),
  (8, 12),
  (9, 12),
  (12, 13),
)

_THIGH, _SHIN, _ANKLE = 0.245, 0.235, 0.043
_UPPER_ARM, _FOREARM = 0.165, 0.145
_UP = np.array([0.0, 0.0, 1.0])


@dataclasses.dataclass(frozen=True)
class Pose:
  """Angles in radians. Pairs are (right, left).

  raise_: upper arm forward from hanging; spread: upper arm outward;
  bend: elbow; swing: amplitude of the walk (0 = standing); lean: forward.
  """

  raise_: tuple[float, float] = (0.0, 0.0)
  spread: tuple[float, float] = (0.1, 0.1)
  bend: tuple[float, float] = (0.2, 0.2)
  swing: float = 0.0
  lean: float = 0.0


def skeleton(
  foot: np.ndarray, heading: float, height: float, pose: Pose, phase: float
) -> np.ndarray:
  """Joints (14, 3) in world metres; the lower foot stands on the ground.

  Args:
    foot: (2,) ground point below the pelvis.
    heading: direction of the nose, radians from east to north.
    height: metres from sole to crown when standing straight.
    pose: angles.
    phase: of the walk, radians; one step each pi.
  """
  forward = np.array([math.cos(heading), math.sin(heading), 0.0])
  left = np.array([-forward[1], forward[0], 0.0])

  def along(angle: float, down: np.ndarray) -> np.ndarray:
    return math.sin(angle) * forward + math.cos(angle) * down

  joints = np.zeros((14, 3))
  up = math.sin(pose.lean) * forward + math.cos(pose.lean) * _UP
  # right, left: the arms swing against the legs
  for side, sign, hip, knee, ankle, shoulder, elbow, wrist in (
    (-1, 1.0, 2, 1, 0, 8, 7, 6),
    (1, -1.0, 3, 4, 5, 9, 10, 11),
  ):
    stride = sign * math.sin(phase)
    leg = pose.swing * stride
    # The knee bends while its leg swings forward.
    flex = 0.04 + 1.3 * pose.swing * max(0.0, sign * math.cos(phase))
    joints[hip] = 0.06 * side * left
    joints[knee] = joints[hip] + _THIGH * along(leg, -_UP)
    joints[ankle] = joints[knee] + _SHIN * along(leg - flex, -_UP)
    k = 0 if side < 0 else 1
    arm = pose.raise_[k] - 0.8 * pose.swing * stride
    spread = pose.spread[k]
    down = -math.cos(spread) * up + math.sin(spread) * side * left
    joints[shoulder] = 0.29 * up + 0.115 * side * left
    joints[elbow] = joints[shoulder] + _UPPER_ARM * along(arm, down)
    joints[wrist] = joints[elbow] + _FOREARM * along(arm + pose.bend[k], down)
  joints[12] = 0.32 * up
  joints[13] = 0.465 * up
  joints[:, 2] += _ANKLE - min(joints[0, 2], joints[5, 2])
  return joints * height + np.array([foot[0], foot[1], 0.0])


def limbs(joints: np.ndarray, heading: float) -> list[tuple[str, Capsule]]:
  """The body around `joints` (14, 3): (garment, capsule) pairs.

  Garments: skin, shirt, sleeve, trousers, shoes, hair.
  """
  height = float(np.linalg.norm(joints[12] - joints[13])) / 0.145
  forward = np.array([math.cos(heading), math.sin(heading), 0.0])
  left = np.array([-forward[1], forward[0], 0.0])
  up = (joints[13] - joints[12]) / (0.145 * height)
  out = []

  def add(garment, a, b, radius):
    out.append((garment, Capsule(a, b, radius * height)))

  for side, hip, knee, ankle, shoulder, elbow, wrist in (
    (-1, 2, 1, 0, 8, 7, 6),
    (1, 3, 4, 5, 9, 10, 11),
  ):
    add("trousers", joints[hip], joints[knee], 0.05)
    add("trousers", joints[knee], joints[ankle], 0.036)
    sole = joints[ankle] - 0.018 * height * _UP
    add("shoes", sole, sole + 0.095 * height * forward, 0.025)
    add("sleeve", joints[shoulder], joints[elbow], 0.034)
    add("skin", joints[elbow], joints[wrist], 0.025)
    hand = joints[wrist] - joints[elbow]
    hand = joints[wrist] + 0.035 / _FOREARM * hand
    add("skin", joints[wrist], hand, 0.027)
    chest = joints[shoulder] - (0.05 * side * left + 0.04 * up) * height
    waist = joints[hip] - 0.005 * height * side * left + 0.05 * height * up
    add("shirt", chest, waist, 0.07)
  add("trousers", joints[2], joints[3], 0.058)
  middle = 0.5 * (joints[2] + joints[3])
  add("shirt", joints[12] - 0.08 * height * up, middle, 0.07)
  add("shirt", joints[8], joints[9], 0.038)
  add("skin", joints[12], joints[12] + 0.05 * height * up, 0.032)
  chin = joints[12] + 0.075 * height * up
  add("skin", chin, chin + 0.035 * height * up, 0.054)
  crown = joints[12] + 0.112 * height * up - 0.012 * height * forward
  add("hair", crown, crown + 0.004 * height * up, 0.057)
  return out
