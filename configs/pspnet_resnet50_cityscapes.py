"""PSPNet on ResNet-50 (and 101) on Cityscapes.

Paper: Zhao, Shi, Qi, Wang, Jia, "Pyramid Scene Parsing Network" (2017, arXiv
  1612.01105): ResNet of ImageNet with a deep stem, dilated to stride 8; batch
  16, crops of 713, poly .9 from .01, momentum .9, decay 1e-4, auxiliary loss
  x .4, scales .5 to 2, rotation by up to 10 degrees, flips; layers behind the
  encoder at ten times the rate (the authors' code in PyTorch); 90,000 steps and
  Gaussian blur (both from memory, to be checked against the paper; the blur is
  left out here). Evaluated in windows of 713, a third of them shared, with
  --config.inference.flip=True
  --config.inference.scales="(0.5, 0.75, 1.0, 1.25, 1.5, 1.75)" too.
  49,080,038 parameters with 19 classes, 68,072,166 on ResNet-101. The authors'
  numbers on Cityscapes val, ResNet-101: mIoU .7970, .8091 with scales and
  flips; mmsegmentation's on ResNet-50: .7855.
Command: python -m jaxseg.main --config=configs/pspnet_resnet50_cityscapes.py \
  --workdir=runs/pspnet
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR).
Hardware: accelerators; 16 crops a step. Not trained here, and from scratch: no
  weights of the deep stem are known by name. torchvision's, with the plain
  stem: --config.model.encoder.name=resnet50
  --config.model.encoder.weights=resnet50
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 90_000
  c.data.name = "cityscapes"
  c.data.size = (1024, 2048)
  c.data.batch_size = 16
  c.data.augment = "random_scale(0.5, 2)|rotate(10)|crop(713)|flip"
  c.data.eval = "pad"
  c.inference.mode = "slide"
  c.inference.window = (713, 713)
  c.inference.overlap = 1 / 3
  c.task.aux_weight = 0.4
  c.model.name = "pspnet_resnet50"  # or pspnet_resnet101
  c.optim.name = "sgd"
  c.optim.lr = 0.01
  c.optim.momentum = 0.9
  c.optim.schedule = "poly"
  c.optim.weight_decay = 1e-4
  c.optim.rules = (("^(pool|head|aux)/", 10.0),)
  c.eval.every = 5_000
  c.eval.batch_size = 8
  c.checkpoint.every = 2_500
  return c
