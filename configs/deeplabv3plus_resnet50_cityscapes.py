"""DeepLabv3+ on ResNet-50 (and 101) on Cityscapes.

Paper: Chen, Zhu, Papandreou, Schroff, Adam, "Encoder-Decoder with Atrous
  Separable Convolution" (2018, arXiv 1802.02611): batch of 16 or more, poly .9
  from .007, momentum .9, decay 1e-4 on ResNet, scales .5 to 2 in steps of .25,
  flips, stride 16; crops of 513 and 30,000 steps on VOC, 769 and 90,000 on
  Cityscapes (these two from memory, to be checked against the authors' code).
  Evaluated at stride 8 with --config.model.output_stride=8
  --config.inference.flip=True
  --config.inference.scales="(0.5, 0.75, 1.0, 1.25, 1.5, 1.75)" too.
  The paper gives no number of this encoder on Cityscapes; like networks of
  mmsegmentation have mIoU .801, and .810 on ResNet-101.
Command: python -m jaxseg.main \
  --config=configs/deeplabv3plus_resnet50_cityscapes.py \
  --workdir=runs/deeplabv3plus
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR), evaluated whole.
Hardware: accelerators; 16 crops a step. Not trained here. The encoder's weights
  are torchvision's, fetched by name.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 90_000
  c.data.name = "cityscapes"
  c.data.size = (1024, 2048)
  c.data.batch_size = 16
  c.data.augment = "random_scale(0.5, 2)|crop(769)|flip"
  c.data.eval = "pad"
  # For ResNet-101 read 101 in these three lines.
  c.model.name = "deeplabv3plus_resnet50"
  c.model.encoder.name = "resnet50"
  c.model.encoder.weights = "resnet50"
  c.model.encoder.multi_grid = (1, 2, 4)
  c.model.encoder.dilate_first = True
  c.optim.name = "sgd"
  c.optim.lr = 0.007
  c.optim.momentum = 0.9
  c.optim.schedule = "poly"
  c.optim.weight_decay = 1e-4
  c.eval.every = 5_000
  c.eval.batch_size = 8
  c.checkpoint.every = 2_500
  return c
