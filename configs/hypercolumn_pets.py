"""Hypercolumns on VGG16 on the pets.

Paper: Hariharan, Arbelaez, Girshick, Malik, "Hypercolumns for Object
  Segmentation and Fine-grained Localization" (2015, arXiv 1411.5752): boxes of
  detected objects, resized; pool3, pool4 and fc7 of a VGG16 that Fast R-CNN has
  trained, a grid of 5x5 classifiers, sigmoid and log loss. The optimizer is
  Fast R-CNN's: rate .001, a tenth of it after 30,000 of 40,000 steps, momentum
  .9, decay 5e-4 (from memory, to be checked against the paper). The paper's
  number (from memory too): mean AP^r .600 at .5 on VOC 2012 val.
Command: python -m jaxseg.main --config=configs/hypercolumn_pets.py \
  --workdir=runs/hypercolumn
Data: TFDS oxford_iiit_pet 4.0.0 (python -m jaxseg.data.prepare
  --dataset=pets), resized. The paper trained on PASCAL VOC 2012 with SBD's
  annotations; here the pets, which fill their images as objects fill their
  boxes, and a softmax over three classes.
Hardware: wants an accelerator. Not trained here: the paper starts from trained
  weights; from scratch, as here, no score is claimed.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 40_000
  c.data.name = "pets"
  c.data.size = (224, 224)
  c.data.batch_size = 16
  c.data.augment = "resize|flip"
  c.data.eval = "resize"
  c.task.losses = ("cross_entropy",)
  c.model.name = "hypercolumn"
  c.model.grid = 5
  c.optim.name = "sgd"
  c.optim.lr = 1e-3
  c.optim.momentum = 0.9
  c.optim.schedule = "step"
  c.optim.step_at = (0.75,)
  c.optim.step_factor = 0.1
  c.optim.weight_decay = 5e-4
  c.eval.every = 2_000
  c.checkpoint.every = 2_000
  return c
