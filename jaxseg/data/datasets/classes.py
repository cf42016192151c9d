"""Data sets whose pixels have classes."""

from __future__ import annotations

from jaxseg.data import drone_classes
from jaxseg.data.spec import DatasetSpec
from jaxseg.types import IGNORE

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
