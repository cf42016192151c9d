"""Convolutional autoencoder on the embedded scenes, without skips.

Paper: Hinton, Salakhutdinov, "Reducing the Dimensionality of Data with Neural
  Networks" (2006, doi 10.1126/science.1127647); convolutional: Masci et al.
  (2011). Recipe (from memory, to be checked against the papers): layers trained
  one by one, then all of them together with conjugate gradients; Vincent et
  al. (2010) hide a share of .1, .25 or .4 of the input. The papers' numbers are
  of other data.
Command: python -m jaxseg.main --config=configs/autoencoder_scenes.py \
  --workdir=runs/autoencoder
Data: scenes, 600 stills of 96x128, made on the spot. What is decoded from the
  code is the label map, the task at hand, instead of the image: what a
  bottleneck of 1/12 of the numbers lets through, beside U-Net with its skips.
Hardware: two CPU cores. Not yet measured.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 800
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.model.name = "autoencoder"
  c.model.width = 32
  c.model.depth = 3
  c.model.code = 16  # channels at stride 8
  c.optim.name = "adam"
  c.optim.lr = 1e-3
  c.optim.weight_decay = 0.0
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
