"""SLIC on BSDS500: 200 superpixels, judged by the regions of people.

Paper: Achanta, Shaji, Smith, Lucchi, Fua, Suesstrunk, "SLIC Superpixels
  Compared to State-of-the-Art Superpixel Methods" (PAMI 2012).
Command: python -m jaxseg.main --config=configs/slic_bsds.py \
  --workdir=runs/slic --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Nothing is trained.
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core, half a second a picture. On all 100: boundary recall (2
  pixels) 0.636, undersegmentation error 0.166, ASA 0.915, 133.9 superpixels;
  scikit-image 0.26 with the same options and measures: 0.642, 0.187, 0.904,
  134.2.
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
