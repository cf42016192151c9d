"""Sequences of a moving camera, with depth and pose."""

from __future__ import annotations

from jaxseg.data.spec import DatasetSpec

VIDEO = {
  "image": "image",
  "depth": "depth",
  "camera": "camera",
  "pose": "pose",
}

# Shotton, Glocker, Zach, Izadi, Criminisi, Fitzgibbon, "Scene Coordinate
# Regression Forests for Camera Relocalization in RGB-D Images" (CVPR 2013): an
# excerpt of RedKitchen with depth registered to the colour camera. The split
# is not theirs, and val is the end of what the raw folder calls train.
SEVEN_SCENES = DatasetSpec(
  name="seven_scenes",
  tfds_name="jaxseg_seven_scenes",
  version="1.0.0",
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 180, "val": 50, "test": 50},
  features=VIDEO,
  sequences="frames",
  depth="millimetres",
  raw="the folder with camera.json, and train and test with rgb/NAME.jpg, "
  "depth/NAME.png and poses.csv",
  advice="A sequence of 7-Scenes whose depth is registered to colour: 16-bit "
  "PNGs in millimetres (0 = invalid), poses.csv with a frame and its 3 x 4 "
  "world-from-camera matrix a line.",
)

# Fonder, Van Droogenbroeck, "Mid-Air: A Multi-Modal Dataset for Extremely Low
# Altitude Drone Flights" (CVPR Workshops 2019). Every third trajectory tests,
# as M4Depth has it (arXiv 2105.09847).
MIDAIR = DatasetSpec(
  name="midair",
  tfds_name="jaxseg_midair",
  version="1.0.0",
  splits={"train": "train", "val": "test"},
  sizes={},
  features=VIDEO,
  sequences="frames",
  depth="float16 disparity",
  raw="the folder with SET/WEATHER/color_left, depth and sensor_records.hdf5",
  advice="Register at midair.ulg.ac.be and download the left camera, depth "
  "and sensor records of the trajectories.",
)

# Geiger, Lenz, Stiller, Urtasun, "Vision meets Robotics" (IJRR 2013) with the
# depth of Uhrig et al., "Sparsity Invariant CNNs" (2017, arXiv 1708.06500).
KITTI_DEPTH = DatasetSpec(
  name="kitti_depth",
  tfds_name="jaxseg_kitti_depth",
  version="1.0.0",
  splits={"train": "train", "val": "val"},
  sizes={},
  features=VIDEO,
  sequences="frames",
  depth="256ths",
  raw="the folder with the dates of the raw data and train, val of the depth",
  advice="From www.cvlibs.net/datasets/kitti: the raw drives (synced, with "
  "calibration) and the annotated depth maps, unpacked into one folder.",
)
