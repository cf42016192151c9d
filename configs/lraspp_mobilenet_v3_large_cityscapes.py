"""LR-ASPP on MobileNetV3-Large on Cityscapes.

Paper: Howard et al., "Searching for MobileNetV3" (2019, arXiv 1905.02244):
  Cityscapes without ImageNet weights, mIoU .726 on val at a single scale with
  128 channels (from memory, to be checked against the paper), in torchvision's
  form. torchvision's recipe: 8 x 4 images, rate .01, momentum .9, decay 1e-6 of
  all parameters, poly .9 over 30 epochs of COCO, crops of 480, flips, from
  ImageNet. 3,221,198 parameters with 19 classes. torchvision's numbers, VOC's
  classes on COCO val2017: mIoU .579, pixel accuracy .912.
Command: python -m jaxseg.main \
  --config=configs/lraspp_mobilenet_v3_large_cityscapes.py \
  --workdir=runs/lraspp
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR), evaluated whole.
Hardware: an accelerator. Not trained here. The encoder's weights are
  torchvision's, fetched by name.
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
  c.model.name = "lraspp_mobilenet_v3_large"
  c.model.encoder.name = "mobilenet_v3_large"
  c.model.encoder.weights = "mobilenet_v3_large"
  c.model.encoder.dilate_first = True  # as torchvision dilates
  c.optim.name = "sgd"
  c.optim.lr = 0.01
  c.optim.momentum = 0.9
  c.optim.schedule = "poly"
  c.optim.weight_decay = 1e-6
  c.optim.decay_all = True
  c.eval.every = 5_000
  c.eval.batch_size = 8
  c.checkpoint.every = 2_500
  return c
