"""The FCN of "Dive into Deep Learning" on CamVid: ResNet-18, one big kernel.

Paper: Zhang, Lipton, Li, Smola, "Dive into Deep Learning" (2021, arXiv
  2106.11342; chapter "Fully Convolutional Networks"), after Long, Shelhamer,
  Darrell (2015, arXiv 1411.4038): ResNet-18 of ImageNet, crops of 320x480,
  batch 32, stochastic gradients without momentum, rate 1e-3, decay 1e-3 of all
  parameters, 5 epochs. Its loss is a mean over the pixels but a sum over the
  batch (from memory, to be checked against the book): for a mean the rate is
  32 times as large and the decay 32 times smaller. 11,677,782 parameters with
  11 classes. The book's number: pixel accuracy of about .85 on PASCAL VOC 2012
  (from memory, to be checked).
Command: python -m jaxseg.main --config=configs/fcn_d2l_camvid.py \
  --workdir=runs/fcn_d2l
Data: jaxseg_camvid (python -m jaxseg.data.prepare --dataset=camvid --raw=DIR).
  The book trained on PASCAL VOC 2012 (1,114 images that are large enough, 35
  steps an epoch); here CamVid, for as many steps.
Hardware: an accelerator. Not trained here. The encoder's weights are
  torchvision's, fetched by name.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 175
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 32
  c.data.augment = "crop(320, 480)"
  c.data.eval = "pad"
  c.model.name = "fcn_d2l"
  c.model.encoder.name = "resnet18"
  c.model.encoder.weights = "resnet18"
  c.optim.name = "sgd"
  c.optim.lr = 3.2e-2
  c.optim.momentum = 0.0
  c.optim.schedule = "constant"
  c.optim.weight_decay = 3.125e-5
  c.optim.decay_all = True
  c.eval.every = 35
  c.eval.batch_size = 8
  c.checkpoint.every = 35
  return c
