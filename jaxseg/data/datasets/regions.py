"""Pictures that people have segmented, without classes."""

from __future__ import annotations

from jaxseg.data.spec import DatasetSpec

# Arbelaez, Maire, Fowlkes, Malik, "Contour Detection and Hierarchical Image
# Segmentation" (PAMI 2011). No classes: regions of four to nine people.
BSDS500 = DatasetSpec(
  name="bsds500",
  tfds_name="jaxseg_bsds500",
  version="1.0.0",
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 200, "val": 100, "test": 200},
  features={
    "image": "image",
    "regions": "regions",
    "boundaries": "boundaries",
    "boundary": "boundaries",
    "region": "regions",
  },
  raw="the folder with train.txt, val.txt (ids), images/SPLIT/ID.jpg and "
  "groundTruth/SPLIT/ID.npz",
  advice="BSDS500: photographs, each segmented by several people; for "
  "non-commercial research and education.",
)
