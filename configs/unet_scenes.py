"""U-Net on the embedded scenes: the demo.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597), same
  padding and BatchNorm, width 16.
Command: python -m jaxseg.main --config=configs/unet_scenes.py \
  --workdir=runs/scenes
Data: scenes, 600 stills of 96x128, made on the spot.
Hardware: two CPU cores, four minutes in all. Expected: val mIoU 0.913, test
  0.905 (seed 0).
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
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
