"""SLIC on BSDS500: 200 superpixels, judged by the regions of people.

Paper: Achanta, Shaji, Smith, Lucchi, Fua, Suesstrunk, "SLIC Superpixels
  Compared to State-of-the-Art Superpixel Methods" (PAMI 2012).
Command: python -m jaxseg.main --config=configs/slic_bsds.py \
  --workdir=runs/slic --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Nothing is trained.
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core. Not yet measured on all of val. On the 9 landscapes of
  its first 10: boundary recall (2 pixels) 0.660, undersegmentation error 0.141,
  ASA 0.928, 161 superpixels; scikit-image 0.26 with the same options 0.653,
  0.166, 0.915, 145.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.data.name = "bsds500"
  c.method.name = "slic"
  c.method.segments = 200
  c.method.compactness = 10.0
  c.eval.split = "val"
  return c
