"""gPb on BSDS500: thin lines by non-maximum suppression, no regions.

Paper: Arbelaez, Maire, Fowlkes, Malik, "Contour Detection and Hierarchical
  Image Segmentation" (PAMI 2011). On the 200 test images with weights trained
  on train and val it has boundaries ODS 0.71, OIS 0.74, AP 0.65.
Command: python -m jaxseg.main --config=configs/gpb_bsds.py \
  --workdir=runs/gpb --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Nothing is trained.
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core, 6 s a picture. Measured on all of val: boundaries ODS
  .679, OIS .697, AP .702.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.data.name = "bsds500"
  c.method.name = "gpb"
  c.method.shrink = True  # False: eigenvectors at full size, as in the paper
  c.eval.split = "val"
  return c
