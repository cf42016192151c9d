"""U-Net on the Oxford-IIIT pets: pet, background, border.

Command: python -m jaxseg.main --config=configs/unet_pets.py \
  --workdir=runs/pets
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.epochs = 20
  c.data.name = "pets"
  c.data.size = (128, 128)
  c.data.batch_size = 16
  c.data.augment = "random_scale(0.8, 1.25, 0.2)|resize|flip|photometric"
  c.data.eval = "resize"
  c.model.name = "unet"
  c.model.width = 32
  c.model.norm = "batch"
  c.optim.lr = 1e-3
  c.eval.every = 200
  c.checkpoint.every = 200
  return c
