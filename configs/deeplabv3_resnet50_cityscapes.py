"""DeepLabv3 on ResNet-50 (and 101) on Cityscapes.

Paper: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for
  Semantic Image Segmentation" (2017, arXiv 1706.05587) in torchvision's form.
  The paper's recipe: batch 16, crops of 513 (769 and 90,000 steps on
  Cityscapes), poly .9 from .007, scales .5 to 2, flips; trained at stride 16
  with multi-grid (1, 2, 4), then at stride 8 with frozen normalisation from
  .001 (from memory, to be checked against the paper). torchvision's, below: 8 x
  4 images, rate .02, momentum .9, decay 1e-4 of all parameters, poly .9 over 30
  epochs of COCO, auxiliary loss x .5 and its head at ten times the rate, crops
  of 480, flips.
  42,003,046 parameters with 19 classes, 60,995,174 on ResNet-101. torchvision's
  numbers, VOC's classes on COCO val2017: mIoU .664, pixel accuracy .924; .674
  and .924 on ResNet-101. On Cityscapes a like network of mmsegmentation has
  mIoU .793.
Command: python -m jaxseg.main \
  --config=configs/deeplabv3_resnet50_cityscapes.py --workdir=runs/deeplabv3
Data: TFDS cityscapes/semantic_segmentation (python -m jaxseg.data.prepare
  --dataset=cityscapes --raw=DIR). torchvision trained on COCO, the paper mostly
  on PASCAL VOC 2012; here Cityscapes at its own scale, evaluated whole. The
  paper evaluates with --config.inference.flip=True
  --config.inference.scales="(0.5, 0.75, 1.0, 1.25, 1.5, 1.75)" too.
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
  c.model.name = "deeplabv3_resnet50"
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
