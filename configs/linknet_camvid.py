"""LinkNet on CamVid, 11 classes.

Paper: Chaurasia, Culurciello, "LinkNet: Exploiting Encoder Representations for
  Efficient Semantic Segmentation" (2017, arXiv 1707.03718): ResNet-18 of
  ImageNet, RMSprop, rate 5e-4 and a tenth of it every 100 of 300 epochs, decay
  2e-4, batch 8, images of 768x576, no augmentation in the authors' code; class
  weights 1 / ln(1.02 + p) of a class with the share p of the pixels. 11,535,659
  parameters. Numbers (from memory, to be checked against the paper): CamVid
  mIoU .683, Cityscapes val .764.
Command: python -m jaxseg.main --config=configs/linknet_camvid.py \
  --workdir=runs/linknet
Data: jaxseg_camvid, SegNet's split of 367 / 101 / 233 at 480x360 (python -m
  jaxseg.data.prepare --dataset=camvid --raw=DIR), void ignored.
Hardware: an accelerator. Not trained here: the paper starts from ResNet-18's
  ImageNet weights; from scratch, as here, no score is claimed. With
  --config.model.encoder.name=resnet18 --config.model.encoder.weights=resnet18
  it is LinkNet in the form of segmentation_models_pytorch, on these weights.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.epochs = 300
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 8
  c.data.augment = "pad"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy",)
  # 1 / ln(1.02 + p), p counted over the pixels of train that are not void.
  c.task.class_weights = (
    5.60,  # sky, p = .1754
    4.30,  # building, .2421
    33.57,  # pole, .0102
    3.34,  # road, .3296
    15.49,  # pavement, .0467
    8.74,  # tree, .1012
    31.54,  # sign, .0122
    32.01,  # fence, .0117
    12.83,  # car, .0611
    38.01,  # pedestrian, .0067
    43.91,  # bicyclist, .0030
  )
  c.model.name = "linknet"
  # Adam without its first moment: RMSprop with a corrected start.
  c.optim.name = "adam"
  c.optim.lr = 5e-4
  c.optim.momentum = 0.0
  c.optim.b2 = 0.99
  c.optim.schedule = "step"
  c.optim.step_at = (1 / 3, 2 / 3)
  c.optim.step_factor = 0.1
  c.optim.weight_decay = 2e-4
  c.eval.every = 460  # ten epochs
  c.checkpoint.every = 460
  return c
