"""FCN-16s on Cityscapes: the second of the paper's three stages.

Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic
  Segmentation" (2015, arXiv 1411.4038; PAMI 2017, arXiv 1605.06211): starts
  from FCN-32s (configs/fcn32s_cityscapes.py) with its recipe and the rate
  1e-12; 8s starts from this one with 1e-14, or from VGG16 "at once"
  (configs/fcn8s_cityscapes.py). 134,348,134 parameters with 19 classes. The
  authors' number: mean IoU .650 on VOC 2011's seg11valid.
Command: python -m jaxseg.main --config=configs/fcn16s_cityscapes.py \
  --workdir=runs/fcn16s
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR), crops of 512x1024, evaluated whole. The paper
  trained on PASCAL VOC 2011 with SBD's annotations; here Cityscapes.
Hardware: wants an accelerator. Not trained here: the rate is that of a network
  which FCN-32s has trained already; from scratch, as here, take 1e-10 and
  expect no score.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 100_000
  c.data.name = "cityscapes"
  c.data.size = (1024, 2048)
  c.data.batch_size = 1
  c.data.augment = "crop(512, 1024)"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy",)
  c.task.reduction = "sum"  # the rate below belongs to a sum over pixels
  c.model.name = "fcn16s"
  c.model.normalization = "caffe"  # BGR in [0, 255] less its mean
  c.optim.name = "sgd"
  c.optim.lr = 1e-12
  c.optim.momentum = 0.99
  c.optim.schedule = "constant"
  c.optim.weight_decay = 5e-4
  c.optim.rules = (("bias$", 2.0),)
  c.eval.every = 10_000
  c.checkpoint.every = 2_000
  return c
