"""What the keypoints of a data set are: names, sides, bones, lengths.

Left and right are the person's own. Positions in the list of names stand for
the points.
"""

from __future__ import annotations

import dataclasses
import itertools

from jaxseg.data import scenes

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class PointSpec:
  """The keypoints of one data set.

  Attributes:
    names: one per point.
    flip_pairs: points that a mirror swaps, (right, left).
    bones: points that pictures join by a line.
    sigmas: of OKS, one per point; () where nobody has published them.
    eyes: the two corners of the eyes whose distance NME divides by.
    torso: the two points whose distance PCK measures by.
    head: the two points whose distance PCKh measures by.
  """

  names: tuple[str, ...]
  flip_pairs: tuple[Pair, ...]
  bones: tuple[Pair, ...]
  sigmas: tuple[float, ...] = ()
  eyes: Pair | None = None
  torso: Pair | None = None
  head: Pair | None = None


# Johnson and Everingham 2010. Sigmas of the same joints in CrowdPose's
# evaluation (Li et al. 2018, arXiv 1812.00324): COCO's, and .079 for neck and
# head.
_LEG, _ARM = (0.089, 0.087, 0.107), (0.062, 0.072, 0.079)
LSP_14 = PointSpec(
  names=scenes.JOINTS,
  flip_pairs=scenes.JOINT_FLIP_PAIRS,
  bones=scenes.BONES,
  sigmas=(*_LEG, *_LEG[::-1], *_ARM, *_ARM[::-1], 0.079, 0.079),
  torso=(9, 2),  # left shoulder to right hip
  head=(12, 13),
)

# Part of the face, number of points, closed line or not; in the order of
# 300-W (Sagonas et al. 2013, "300 Faces in-the-Wild Challenge").
_PARTS = (
  ("jaw", 17, False),
  ("right_brow", 5, False),
  ("left_brow", 5, False),
  ("nose_bridge", 4, False),
  ("nostrils", 5, False),
  ("right_eye", 6, True),
  ("left_eye", 6, True),
  ("outer_lip", 12, True),
  ("inner_lip", 8, True),
)


def _face_names() -> tuple[str, ...]:
  return tuple(f"{part}_{i}" for part, n, _ in _PARTS for i in range(n))


def _face_bones() -> tuple[Pair, ...]:
  bones, start = [], 0
  for _, n, closed in _PARTS:
    bones += itertools.pairwise(range(start, start + n))
    bones += [(start + n - 1, start)] if closed else []
    start += n
  return tuple(bones)


FACE_68 = PointSpec(
  names=_face_names(),
  flip_pairs=(
    *((i, 16 - i) for i in range(8)),
    *((17 + i, 26 - i) for i in range(5)),
    *((31, 35), (32, 34)),
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56)),
    *((60, 64), (61, 63), (67, 65)),
  ),
  bones=_face_bones(),
  eyes=(36, 45),  # the outer corners
)
