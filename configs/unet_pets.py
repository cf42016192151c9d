"""U-Net on the Oxford-IIIT pets: pet, background, border. Small, for a CPU.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597), same
  padding and BatchNorm, width 16, one level deeper (7,778,643 parameters).
Command: python -m jaxseg.main --config=configs/unet_pets.py \
  --workdir=runs/pets
Data: TFDS oxford_iiit_pet 4.0.0 (python -m jaxseg.data.prepare
  --dataset=pets); resized to 128x128, labels by nearest pixel, as in the
  TensorFlow tutorial. The last tenth of train is the validation split.
Hardware: two CPU cores, 58 minutes beside other work, on a reduced copy of 358
  train, 40 val and 171 test images. Measured there, seed 0, best of val (step
  3500): test pixel accuracy 0.866, mIoU 0.687; val 0.878 and 0.699. Without
  the decision weight of the border (chosen on val from 1 to 2.2) test 0.868
  and 0.674, val 0.878 and 0.681; also without the larger scale val mIoU 0.654.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 4000
  c.ema_decay = 0.998
  c.data.name = "pets"
  c.data.size = (128, 128)
  c.data.batch_size = 8
  # Zoomed around the size of evaluation, stretched, cut.
  c.data.augment = (
    "resize|random_scale(0.75, 1.35, 0.3)|rotate(15)|crop|flip|photometric"
  )
  c.data.eval = "resize"
  c.inference.flip = True
  c.inference.scales = (1.0, 1.25)
  c.task.losses = ("cross_entropy", "dice*0.5")
  # A border is seldom more probable than not, so that the argmax finds half.
  c.task.decision_weights = (1.0, 1.0, 2.0)  # pet, background, border
  c.model.name = "unet"
  c.model.width = 16
  c.model.depth = 5
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  c.eval.every = 500
  c.eval.batch_size = 20
  c.checkpoint.every = 500
  return c
