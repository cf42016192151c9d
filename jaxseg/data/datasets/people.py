"""Faces and bodies with points."""

from __future__ import annotations

from jaxseg.data.points import FACE_68, LSP_14
from jaxseg.data.spec import DatasetSpec

# 68 points on frames of YouTube Faces (Wolf, Hassner, Maoz, CVPR 2011), as the
# Udacity Computer Vision Nanodegree published them (P1_Facial_Keypoints). The
# published test images show the people of the training images: the split here
# parts people, and the former is left to who asks for it by
# config.data.test_split = 'test'.
FACES = DatasetSpec(
  name="faces",
  tfds_name="jaxseg_faces",
  version="1.0.0",
  splits={"train": "train", "val": "val"},
  sizes={"train": 841, "val": 208},
  features={"image": "image", "keypoints": "keypoints"},
  points=FACE_68,
  raw="the folder with training.csv, training/ID.jpg, suggested_train.txt and "
  "suggested_val.txt",
  advice="Facial keypoints of github.com/udacity/P1_Facial_Keypoints: a table "
  "training.csv (id, width, height, x0, y0 ... x67, y67 in pixels), the images "
  "and two lists of ids, no person in both.",
)

# Johnson, Everingham, "Learning Effective Human Pose Estimation from
# Inaccurate Annotation" (CVPR 2011). The split is not theirs.
LSP = DatasetSpec(
  name="lsp",
  tfds_name="jaxseg_lsp",
  version="1.0.0",
  splits={"train": "train", "val": "val"},
  sizes={"train": 307, "val": 77},
  features={"image": "image", "keypoints": "keypoints"},
  points=LSP_14,
  raw="the folder with joints.csv, images/ID.jpg, suggested_train.txt and "
  "suggested_val.txt",
  advice="Leeds Sports Pose Extended: a table joints.csv (id, width, height, "
  "then NAME_x, NAME_y, NAME_labelled of 14 joints, in pixels), the images and "
  "two lists of ids.",
)
