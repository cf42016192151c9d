"""The embedded scenes: a small world with exact truth for every task."""

from jaxseg.data.scenes.figure import BONES, JOINT_FLIP_PAIRS, JOINTS
from jaxseg.data.scenes.scene import render_clip, render_scene
from jaxseg.data.scenes.world import CLASSES, PALETTE, THINGS

__all__ = [
  "BONES",
  "CLASSES",
  "JOINTS",
  "JOINT_FLIP_PAIRS",
  "PALETTE",
  "THINGS",
  "render_clip",
  "render_scene",
]
