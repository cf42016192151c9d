"""gPb-owt-ucm on BSDS500: contours and a hierarchy of regions, no network.

Paper: Arbelaez, Maire, Fowlkes, Malik, "Contour Detection and Hierarchical
  Image Segmentation" (PAMI 2011). On the 200 test images with weights trained
  on train and val it has boundaries ODS 0.73, OIS 0.76, AP 0.73.
Command: python -m jaxseg.main --config=configs/ucm_bsds.py \
  --workdir=runs/ucm --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Nothing is trained.
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core, 6 s a picture and 2 to judge it. Measured on all of
  val: boundaries ODS .682 (precision .693, recall .673), OIS .701, AP .714;
  regions covering .571 (best .710), PRI .791, VI 1.73. The weights come from 25
  pictures of train, the paper's from 300; fine texture is still taken for
  contours.
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
