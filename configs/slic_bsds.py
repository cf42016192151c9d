"""SLIC on BSDS500: 200 superpixels, judged by the regions of people.

Paper: Achanta, Shaji, Smith, Lucchi, Fua, Suesstrunk, "SLIC Superpixels
  Compared to State-of-the-Art Superpixel Methods" (PAMI 2012).
Command: python -m jaxseg.main --config=configs/slic_bsds.py \
  --workdir=runs/slic --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Nothing is trained.
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core, 33 ms a picture. Compactness was chosen on every eighth
  picture of train, of 7, 10, 12, 15, 20, 25: boundary recall (2 pixels) .694,
  .730, .734, .737, .725, .700. On all 100 of val, beside scikit-image 0.26 with
  the same measures (python -m benchmarks.superpixels --bsds=RAW):
                               recall  undersegmentation  ASA   superpixels
    ours, compactness 15        .708        .144          .926    155.1
    scikit-image, 15            .674        .156          .921    156.4
    ours, 10                    .680        .163          .916    133.9
    scikit-image, 10 (default)  .642        .187          .904    134.2
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.data.name = "bsds500"
  c.method.name = "slic"
  c.method.segments = 200
  c.method.compactness = 15.0
  c.eval.split = "val"
  return c
