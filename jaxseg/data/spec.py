"""A data set is a record: classes, palette, splits, encodings, provenance.

`DATASETS` is the registry. Everything that differs from one data set to the
next stands here as data: which TFDS name holds it, which of its features
becomes which batch key, how ids on disk become class ids (one explicit table,
applied once), and what to tell a user who does not have it yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.data import drone_classes, scenes
from jaxseg.data.points import FACE_68, LSP_14, PointSpec
from jaxseg.types import IGNORE, UserError

Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
  """One data set.

  Attributes:
    name: the name in `config.data.name`.
    tfds_name: name (and config) of its TFDS builder.
    version: the version that the table below was written for.
    classes: class names; position = class id.
    palette: one RGB colour per class.
    splits: 'train', 'val', 'test' -> TFDS split expression.
    sizes: number of examples of those splits in the complete data set; {}
      where few have the whole of it.
    features: batch key -> name of the feature in the record.
    label_table: id on disk -> class id or IGNORE; an id that is not in it is
      an error that names the file.
    embedded: made on the spot, from nothing.
    points: what its keypoints are, if it has any.
    sequences: 'frames', 'clips': its records are frames in order, or clips;
      see `data.sequences`. '': single images.
    depth: how depth maps are coded on disk, see `data.decode.DEPTHS`; '':
      float metres.
    raw: what `--raw` has to point at, for builders that read a raw folder.
    host: the server that TFDS downloads it from, if it does.
    advice: where the data comes from and what to download.
  """

  name: str
  tfds_name: str
  version: str
  classes: tuple[str, ...]
  palette: tuple[Color, ...]
  splits: Mapping[str, str]
  sizes: Mapping[str, int]
  features: Mapping[str, str]
  label_table: Mapping[int, int]
  advice: str
  raw: str = ""
  host: str = ""
  embedded: bool = False
  points: PointSpec | None = None
  sequences: str = ""
  depth: str = ""

  @property
  def num_classes(self) -> int:
    """Number of classes, ignore not counted."""
    return len(self.classes)


SCENES = DatasetSpec(
  name="scenes",
  tfds_name="jaxseg_scenes/stills",
  version="1.0.0",
  classes=tuple(scenes.CLASSES),
  palette=tuple(tuple(int(v) for v in color) for color in scenes.PALETTE),
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 600, "val": 100, "test": 100},
  features={
    "image": "image",
    "label": "label",
    "instance": "instance",
    "depth": "depth",
    "normal": "normal",
    "keypoints": "keypoints",
    "boxes": "boxes",
    "camera": "camera",
  },
  label_table={i: i for i in range(len(scenes.CLASSES))},
  embedded=True,
  points=LSP_14,
  advice="It is made on the spot by a ray caster; nothing to download.",
)

SCENES_CLIPS = dataclasses.replace(
  SCENES,
  name="scenes_clips",
  tfds_name="jaxseg_scenes/clips",
  splits={"train": "train", "val": "val"},
  sizes={"train": 40, "val": 8},
  features={**SCENES.features, "pose": "pose"},
  sequences="clips",
)

# Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs" (CVPR 2012). The trimap
# holds 1 = pet, 2 = background, 3 = border (some tutorials swap 2 and 3).
PETS = DatasetSpec(
  name="pets",
  tfds_name="oxford_iiit_pet",
  version="4.0.0",
  classes=("pet", "background", "border"),
  palette=((220, 90, 60), (40, 60, 90), (250, 220, 110)),
  # The published split has no validation part: the last tenth of train.
  splits={"train": "train[:90%]", "val": "train[90%:]", "test": "test"},
  sizes={"train": 3312, "val": 368, "test": 3669},
  features={"image": "image", "label": "segmentation_mask"},
  host="thor.robots.ox.ac.uk",
  label_table={1: 0, 2: 1, 3: 2},
  advice="Oxford-IIIT Pet, about 0.8 GB (images.tar.gz and annotations.tar.gz "
  "from www.robots.ox.ac.uk/~vgg/data/pets), fetched by the command.",
)

# Cordts et al., "The Cityscapes Dataset" (CVPR 2016, arXiv 1604.01685). TFDS
# stores labelIds; 19 of the 34 are trained and evaluated.
CITYSCAPES_TRAIN_IDS = {
  **dict.fromkeys([0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30], IGNORE),
  255: IGNORE,  # licence plate: -1 in the published table
  7: 0,
  8: 1,
  11: 2,
  12: 3,
  13: 4,
  17: 5,
  19: 6,
  20: 7,
  21: 8,
  22: 9,
  23: 10,
  24: 11,
  25: 12,
  26: 13,
  27: 14,
  28: 15,
  31: 16,
  32: 17,
  33: 18,
}

CITYSCAPES = DatasetSpec(
  name="cityscapes",
  tfds_name="cityscapes/semantic_segmentation",
  version="1.0.0",
  classes=(
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
  ),
  palette=(
    (128, 64, 128),
    (244, 35, 232),
    (70, 70, 70),
    (102, 102, 156),
    (190, 153, 153),
    (153, 153, 153),
    (250, 170, 30),
    (220, 220, 0),
    (107, 142, 35),
    (152, 251, 152),
    (70, 130, 180),
    (220, 20, 60),
    (255, 0, 0),
    (0, 0, 142),
    (0, 0, 70),
    (0, 60, 100),
    (0, 80, 100),
    (0, 0, 230),
    (119, 11, 32),
  ),
  # The truth of the test split is on a server.
  splits={"train": "train", "val": "validation"},
  sizes={"train": 2975, "val": 500},
  features={"image": "image_left", "label": "segmentation_label"},
  label_table=CITYSCAPES_TRAIN_IDS,
  raw="the folder with leftImg8bit_trainvaltest.zip and "
  "gtFine_trainvaltest.zip",
  advice="Register at www.cityscapes-dataset.com and download "
  "leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB).",
)

# Brostow, Shotton, Fauqueur, Cipolla (ECCV 2008); the 11 classes, 480x360 and
# the split are those of SegNet (Badrinarayanan et al. 2015, arXiv 1511.00561).
CAMVID = DatasetSpec(
  name="camvid",
  tfds_name="jaxseg_camvid",
  version="1.0.0",
  classes=(
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
  ),
  palette=(
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
  ),
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 367, "val": 101, "test": 233},
  features={"image": "image", "label": "label"},
  label_table={**{i: i for i in range(11)}, 11: IGNORE},
  raw="the folder with train.txt, val.txt and the images and masks that they "
  "list",
  advice="CamVid as SegNet prepared it: 480x360 images and masks with ids "
  "0-10 and 11 = void, with train.txt, val.txt and test.txt that list "
  "'image mask' per line.",
)

# Humans in the Loop, Mohammed Bin Rashid Space Centre (2020, CC0 1.0). The
# split is not theirs: it parts the eight tiles that the images are cut from.
DUBAI_AERIAL = DatasetSpec(
  name="dubai_aerial",
  tfds_name="jaxseg_dubai_aerial",
  version="1.0.0",
  classes=("building", "land", "road", "vegetation", "water"),
  palette=(
    (60, 16, 152),
    (132, 41, 246),
    (110, 193, 228),
    (254, 221, 58),
    (226, 169, 41),
  ),
  splits={"train": "train", "val": "val"},
  sizes={"train": 54, "val": 18},
  features={"image": "image", "label": "label"},
  label_table={**{i: i for i in range(5)}, 5: IGNORE},
  raw="the folder with images, masks, suggested_train.txt and "
  "suggested_val.txt",
  advice="Semantic segmentation of aerial imagery (Dubai) by Humans in the "
  "Loop: images/NAME.jpg, masks/NAME.png with ids 0-4 and 5 = unlabelled, and "
  "two lists of names.",
)

# Graz University of Technology (2019). Of its 24 classes 'unlabeled' (0) and
# 'conflicting' (23) are ignored.
SEMANTIC_DRONE = DatasetSpec(
  name="semantic_drone",
  tfds_name="jaxseg_semantic_drone",
  version="1.0.0",
  classes=tuple(name for name, _ in drone_classes.CLASSES[1:-1]),
  palette=tuple(color for _, color in drone_classes.CLASSES[1:-1]),
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 320, "val": 40, "test": 40},
  features={"image": "image", "label": "label"},
  label_table={0: IGNORE, **{i + 1: i for i in range(22)}, 23: IGNORE},
  raw="the folder with training_set, or with original_images and "
  "RGB_color_image_masks",
  advice="Semantic Drone Dataset, from dronedataset.icg.tugraz.at: 400 images "
  "and their colour masks.",
)

# 68 points on frames of YouTube Faces (Wolf, Hassner, Maoz, CVPR 2011), as the
# Udacity Computer Vision Nanodegree published them (P1_Facial_Keypoints). The
# published test images show the people of the training images: the split here
# parts people, and the former is left to who asks for it by
# config.data.test_split = 'test'.
FACES = DatasetSpec(
  name="faces",
  tfds_name="jaxseg_faces",
  version="1.0.0",
  classes=(),
  palette=(),
  splits={"train": "train", "val": "val"},
  sizes={"train": 841, "val": 208},
  features={"image": "image", "keypoints": "keypoints"},
  label_table={},
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
  classes=(),
  palette=(),
  splits={"train": "train", "val": "val"},
  sizes={"train": 307, "val": 77},
  features={"image": "image", "keypoints": "keypoints"},
  label_table={},
  points=LSP_14,
  raw="the folder with joints.csv, images/ID.jpg, suggested_train.txt and "
  "suggested_val.txt",
  advice="Leeds Sports Pose Extended: a table joints.csv (id, width, height, "
  "then NAME_x, NAME_y, NAME_labelled of 14 joints, in pixels), the images and "
  "two lists of ids.",
)

# Arbelaez, Maire, Fowlkes, Malik, "Contour Detection and Hierarchical Image
# Segmentation" (PAMI 2011). No classes: regions of four to nine people.
BSDS500 = DatasetSpec(
  name="bsds500",
  tfds_name="jaxseg_bsds500",
  version="1.0.0",
  classes=(),
  palette=(),
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 200, "val": 100, "test": 200},
  features={
    "image": "image",
    "regions": "regions",
    "boundaries": "boundaries",
  },
  label_table={},
  raw="the folder with train.txt, val.txt (ids), images/SPLIT/ID.jpg and "
  "groundTruth/SPLIT/ID.npz",
  advice="BSDS500: photographs, each segmented by several people; for "
  "non-commercial research and education.",
)

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
  classes=(),
  palette=(),
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 180, "val": 50, "test": 50},
  features=VIDEO,
  label_table={},
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
  classes=(),
  palette=(),
  splits={"train": "train", "val": "test"},
  sizes={},
  features=VIDEO,
  label_table={},
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
  classes=(),
  palette=(),
  splits={"train": "train", "val": "val"},
  sizes={},
  features=VIDEO,
  label_table={},
  sequences="frames",
  depth="256ths",
  raw="the folder with the dates of the raw data and train, val of the depth",
  advice="From www.cvlibs.net/datasets/kitti: the raw drives (synced, with "
  "calibration) and the annotated depth maps, unpacked into one folder.",
)

DATASETS: dict[str, DatasetSpec] = {
  spec.name: spec
  for spec in (
    SCENES,
    SCENES_CLIPS,
    BSDS500,
    PETS,
    CITYSCAPES,
    CAMVID,
    DUBAI_AERIAL,
    SEMANTIC_DRONE,
    FACES,
    LSP,
    SEVEN_SCENES,
    MIDAIR,
    KITTI_DEPTH,
  )
}


def points_of(spec: Any) -> dict[str, Any]:
  """What the keypoints of a data set are, as fields of their task.

  Raises:
    UserError: it has none.
  """
  points = getattr(spec, "points", None)
  if points is None:
    known = ", ".join(name for name, one in DATASETS.items() if one.points)
    raise UserError(
      f"data set {spec.name!r} has no keypoints: set config.data.name to one "
      f"of {known}, or choose another config.task.name."
    )
  return {f.name: getattr(points, f.name) for f in dataclasses.fields(points)}
