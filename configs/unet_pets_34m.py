"""The lecture's U-Net on pets: 34,513,475 parameters.

Paper: U-Net (2015, arXiv 1505.04597) in the form of the Oxford-pets tutorials:
  same padding, no norm, 3x3 up-convolutions, dropout .3 after every pooling
  and concatenation; Adam 1e-3, batch 64, 20 epochs, flips, 128x128.
Command: python -m jaxseg.main --config=configs/unet_pets_34m.py \
  --workdir=runs/pets_34m
Data: TFDS oxford_iiit_pet 4.0.0, the whole train split; resized to 128x128.
  The checkpoint that is evaluated is the last one: nothing is selected.
Hardware: wants an accelerator. Expected: the lecture claims about .90 pixel
  accuracy after 20 epochs; not measured here.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.epochs = 20
  c.data.name = "pets"
  c.data.train_split = "train"
  c.data.val_split = "test"
  c.data.size = (128, 128)
  c.data.batch_size = 64
  c.data.augment = "resize|flip"
  c.data.eval = "resize"
  c.model.name = "unet"
  c.model.width = 64
  c.model.up = "tconv3"
  c.model.dropout = 0.3
  c.model.dropout_at = "every"
  c.optim.name = "adam"
  c.optim.lr = 1e-3
  c.optim.schedule = "constant"
  c.optim.weight_decay = 0.0
  c.eval.every = 115  # two epochs
  c.eval.checkpoint = "latest"
  c.checkpoint.every = 115
  return c
