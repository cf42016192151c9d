"""FCN-8s "at once" on Cityscapes.

Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic
  Segmentation" (2015, arXiv 1411.4038; PAMI 2017, arXiv 1605.06211): VGG16,
  summed loss, momentum .99, weight decay 5e-4, rate 1e-10, batch 1, scores of
  pool4 times .01 and of pool3 times .0001.
  134,353,017 parameters with 19 classes.
Command: python -m jaxseg.main --config=configs/fcn8s_cityscapes.py \
  --workdir=runs/fcn8s
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR), crops of 512x1024, evaluated whole.
Hardware: wants an accelerator. The paper's recipe starts from VGG16's ImageNet
  weights; from scratch, as here, no score is claimed.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 300_000
  c.data.name = "cityscapes"
  c.data.size = (1024, 2048)
  c.data.batch_size = 1
  c.data.augment = "crop(512, 1024)|flip"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy",)
  c.task.reduction = "sum"  # the rate below belongs to a sum over pixels
  c.model.name = "fcn8s"
  c.model.at_once = True
  c.optim.name = "sgd"
  c.optim.lr = 1e-10
  c.optim.momentum = 0.99
  c.optim.schedule = "constant"
  c.optim.weight_decay = 5e-4
  c.eval.every = 10_000
  c.checkpoint.every = 2_000
  return c
