"""Your own data: a folder of images and a folder of masks.

Command: python -m jaxseg.main --config=configs/unet_folder.py \
  --workdir=runs/mine --config.data.images=DIR --config.data.masks=DIR \
  --config.data.classes=background,cat,dog
Data: masks hold the class ids 0, 1, 2 ... in the order of the names; 255 is
  ignored. Other ids: --config.data.ids="(0, 38, 75)". Colours:
  --config.data.colors="('#000000', '#800000', '#008000')". A tenth of the
  images is held out for validation, or --config.data.split_dir=DIR has
  train.txt and val.txt.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.epochs = 50
  c.data.name = "folder"
  c.data.size = (256, 256)
  c.data.batch_size = 8
  c.data.augment = "random_scale(0.5, 2)|crop|flip|photometric"
  c.data.eval = "resize"
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 2e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.checkpoint.every = 200
  return c
