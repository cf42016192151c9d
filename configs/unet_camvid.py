"""U-Net on CamVid, 11 classes, from scratch, within an hour of two cores.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597), same
  padding and BatchNorm, width 16 (1,942,747 parameters).
Command: python -m jaxseg.main --config=configs/unet_camvid.py \
  --workdir=runs/camvid
Data: jaxseg_camvid, SegNet's split of 367 / 101 / 233 (python -m
  jaxseg.data.prepare --dataset=camvid --raw=DIR). The network works at half
  scale; its logits are enlarged and scored at 360x480, void ignored.
Hardware: two CPU cores. Expected: val mIoU 0.428 and pixel accuracy 0.876
  after 1100 steps, 25 minutes (--config.steps=1100, seed 0); the 1600 steps
  below are not measured.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 1600
  c.ema_decay = 0.998
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 6
  # Around half scale, a window of most of the picture.
  c.data.augment = (
    "random_scale(0.38, 0.75, 0.2)|crop(176, 240)|flip|photometric"
  )
  c.data.eval = "pad"
  c.inference.scales = (0.5,)  # a quarter of the pixels to compute
  c.task.losses = ("cross_entropy", "dice*0.5")
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  c.eval.every = 400
  c.eval.batch_size = 4
  c.checkpoint.every = 200
  return c
