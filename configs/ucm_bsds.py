"""gPb-owt-ucm on BSDS500: contours and a hierarchy of regions, no network.

Paper: Arbelaez, Maire, Fowlkes, Malik, "Contour Detection and Hierarchical
  Image Segmentation" (PAMI 2011). On the 200 test images with weights trained
  on train and val it has boundaries ODS 0.73, OIS 0.76, AP 0.73.
Command: python -m jaxseg.main --config=configs/ucm_bsds.py \
  --workdir=runs/ucm --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Nothing is trained.
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core, 13 s a picture and as long to judge it. Not yet measured
  on all of val. On its first six pictures (--config.eval.limit=6): boundaries
  ODS 0.541, AP 0.542; regions covering 0.547, VI 1.46. It is far from the
  paper's, and the pictures say why: fine texture is not told from contours. On
  the two of val on which the weight of sPb was chosen (19021, 42049) ODS is
  0.797, which tells nothing of the others.
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
