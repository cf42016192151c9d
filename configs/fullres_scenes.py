"""Convolutions at full resolution on the embedded scenes: the baseline.

Paper: none; the network of textbooks that never downsamples, to be measured
  against U-Net (configs/unet_scenes.py, whose recipe this is). Eight 3x3
  convolutions see 17 pixels, and each costs as much as U-Net's first.
Command: python -m jaxseg.main --config=configs/fullres_scenes.py \
  --workdir=runs/fullres
Data: scenes, 600 stills of 96x128, made on the spot.
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
  c.model.name = "fullres"
  c.model.width = 16
  c.model.depth = 8
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
