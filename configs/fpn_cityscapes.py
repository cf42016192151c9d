"""Semantic FPN on ResNet-50 on Cityscapes.

Paper: Kirillov, Girshick, He, Dollar, "Panoptic Feature Pyramid Networks"
  (2019, arXiv 1901.02446), on the pyramid of Lin et al. (2017, arXiv
  1612.03144). Recipe (from memory, to be checked against the paper): ResNet of
  ImageNet with frozen normalisation, 32 crops of 512x1024, scales .5 to 2,
  flips, colours, rate .01, a tenth of it after 40,000 and 55,000 of 65,000
  steps, momentum .9, decay 1e-4; mIoU .777 on val with ResNet-101. Numbers of
  mmsegmentation: .7452, and .7580 on ResNet-101.
Command: python -m jaxseg.main --config=configs/fpn_cityscapes.py \
  --workdir=runs/fpn
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR), evaluated whole.
Hardware: accelerators; 32 crops a step. Not trained here: the paper starts from
  ImageNet weights; from scratch, as here, normalisation is not frozen and no
  score is claimed. With --config.model.encoder.name=resnet50
  --config.model.encoder.weights=resnet50
  --config.model.encoder.frozen_norm=True it is the pyramid in the form of
  segmentation_models_pytorch, on these weights.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 65_000
  c.data.name = "cityscapes"
  c.data.size = (1024, 2048)
  c.data.batch_size = 32
  c.data.augment = "random_scale(0.5, 2)|crop(512, 1024)|flip|photometric"
  c.data.eval = "pad"
  c.model.name = "fpn"
  c.optim.name = "sgd"
  c.optim.lr = 0.01
  c.optim.momentum = 0.9
  c.optim.schedule = "step"
  c.optim.step_at = (40 / 65, 55 / 65)
  c.optim.step_factor = 0.1
  c.optim.weight_decay = 1e-4
  c.eval.every = 5_000
  c.eval.batch_size = 8
  c.checkpoint.every = 2_500
  return c
