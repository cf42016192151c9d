"""Dilated VGG with the basic or the large context module on CamVid.

Paper: Yu, Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions"
  (2016, arXiv 1511.07122), as in the authors' code: the front end
  (configs/dilated_vgg_camvid.py); then the context module, which starts as the
  identity, on its scores, batch 60, rate 1e-3; then both together, batch 14,
  rate 1e-5; momentum .9, decay 5e-4. For sets of some hundred images they
  leave the second stage out. 134,313,443 parameters with 11 classes; with
  the large module 136,172,740 parameters. The paper's number (from memory, to
  be checked against the paper): mIoU .653 on CamVid.
Command: python -m jaxseg.main \
  --config=configs/dilated_vgg_context_camvid.py \
  --workdir=runs/dilated_vgg_context
  With ':large' behind the file's name the large module.
Data: jaxseg_camvid, 480x360 (python -m jaxseg.data.prepare --dataset=camvid
  --raw=DIR); whole images, mirrored around as in the paper.
Hardware: wants an accelerator. Not trained here: the paper starts from VGG16's
  ImageNet weights; from scratch, as here, no score is claimed.
"""

from jaxseg import defaults, naming

VARIANTS = {
  "basic": "dilated_vgg_context",
  "large": "dilated_vgg_context_large",
}


def get_config(variant="basic"):
  """See the module; `variant` is one of VARIANTS."""
  c = defaults.get_config()
  c.steps = 60_000
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 14
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy",)
  c.model.name = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c.model.normalization = "caffe"  # BGR in [0, 255] less its mean
  c.optim.name = "sgd"
  # The rates of the first two stages at once, for a start from scratch; with a
  # trained front end 1e-5 for both.
  c.optim.lr = 1e-4
  c.optim.rules = (("^context_logits/", 10.0),)
  c.optim.momentum = 0.9
  c.optim.schedule = "constant"
  c.optim.weight_decay = 5e-4
  c.eval.every = 2_000
  c.checkpoint.every = 2_000
  return c
