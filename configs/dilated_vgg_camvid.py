"""Dilated VGG, the front end of the dilation nets, on CamVid.

Paper: Yu, Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions"
  (2016, arXiv 1511.07122), as in the authors' code: VGG16 of ImageNet, crops of
  500, batch 14, rate 1e-4, momentum .9, decay 5e-4; 60,000 iterations on VOC
  (from memory, to be checked against the paper). 134,305,611 parameters with 11
  classes. The paper's numbers (from memory too): the front end alone mIoU .698
  on VOC 2012 val; with context .653 on CamVid.
Command: python -m jaxseg.main --config=configs/dilated_vgg_camvid.py \
  --workdir=runs/dilated_vgg
Data: jaxseg_camvid, 480x360 (python -m jaxseg.data.prepare --dataset=camvid
  --raw=DIR); whole images, mirrored around as in the paper.
Hardware: wants an accelerator. Not trained here: the paper starts from VGG16's
  ImageNet weights; from scratch, as here, no score is claimed.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 60_000
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 14
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy",)
  c.model.name = "dilated_vgg"
  c.model.normalization = "caffe"  # BGR in [0, 255] less its mean
  c.optim.name = "sgd"
  c.optim.lr = 1e-4
  c.optim.momentum = 0.9
  c.optim.schedule = "constant"  # the authors' first step comes after 100,000
  c.optim.weight_decay = 5e-4
  c.eval.every = 2_000
  c.checkpoint.every = 2_000
  return c
