"""The pets U-Net on MobileNetV2 of TensorFlow's tutorial.

Paper: the TensorFlow authors' tutorial "Image segmentation"
  (tensorflow.org/tutorials/images/segmentation), after U-Net (2015, arXiv
  1505.04597) on MobileNetV2 (2018, arXiv 1801.04381) with the way back of
  pix2pix (2017, arXiv 1611.07004): 128x128, batch 64, 20 epochs, Adam 1e-3,
  flips; the encoder has ImageNet's weights and is frozen
  (--config.optim.rules="(('^encoder/', 0.0),)"). 6,471,395 parameters; Keras
  counts 6,504,227 with the running statistics, 4,660,323 of them trained. The
  tutorial states no score.
Command: python -m jaxseg.main --config=configs/unet_mobilenet_v2_pets.py \
  --workdir=runs/pets_mobilenet
Data: TFDS oxford_iiit_pet 4.0.0 (python -m jaxseg.data.prepare
  --dataset=pets), the whole train split; resized to 128x128. The checkpoint
  that is evaluated is the last one: nothing is selected.
Hardware: an accelerator. Not trained here: without Keras's ImageNet weights, as
  here, nothing is frozen.
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
  c.model.name = "unet_mobilenet_v2"
  c.optim.name = "adam"
  c.optim.lr = 1e-3
  c.optim.schedule = "constant"
  c.optim.weight_decay = 0.0
  c.eval.every = 115  # two epochs
  c.eval.checkpoint = "latest"
  c.checkpoint.every = 115
  return c
