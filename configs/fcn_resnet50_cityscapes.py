"""FCN on ResNet-50 (and 101) on Cityscapes.

Paper: Long, Shelhamer, Darrell (2015, arXiv 1411.4038) in torchvision's form:
  ResNet of ImageNet dilated to stride 8, a 3x3 head, an auxiliary head on c4.
  torchvision's recipe: 8 x 4 images, rate .02, momentum .9, decay 1e-4 of all
  parameters, poly .9 over 30 epochs of COCO, auxiliary loss x .5 and its head
  at ten times the rate, short side 520 x (.5 to 2), crops of 480, flips;
  about 92,500 images of COCO have VOC's classes (from memory, to be checked).
  35,320,678 parameters with 19 classes, 54,312,806 on ResNet-101. torchvision's
  numbers, VOC's classes on COCO val2017: mIoU .605, pixel accuracy .914; .637
  and .919 on ResNet-101. On Cityscapes a like network of mmsegmentation has
  mIoU .736 (crops of 512x1024, 80,000 steps).
Command: python -m jaxseg.main --config=configs/fcn_resnet50_cityscapes.py \
  --workdir=runs/fcn_resnet50
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR). torchvision trained on COCO; here Cityscapes
  at its own scale, evaluated whole.
Hardware: accelerators; 32 crops a step. Not trained here. The encoder's weights
  are torchvision's, fetched by name.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 86_700  # 30 epochs of COCO's images with VOC's classes
  c.data.name = "cityscapes"
  c.data.size = (1024, 2048)
  c.data.batch_size = 32
  c.data.augment = "random_scale(0.5, 2)|crop(480)|flip"
  c.data.eval = "pad"
  c.task.aux_weight = 0.5
  # For ResNet-101 read 101 in these three lines.
  c.model.name = "fcn_resnet50"
  c.model.encoder.name = "resnet50"
  c.model.encoder.weights = "resnet50"
  c.optim.name = "sgd"
  c.optim.lr = 0.02
  c.optim.momentum = 0.9
  c.optim.schedule = "poly"
  c.optim.weight_decay = 1e-4
  c.optim.decay_all = True
  c.optim.rules = (("^aux/", 10.0),)
  c.eval.every = 5_000
  c.eval.batch_size = 8
  c.checkpoint.every = 2_500
  return c
