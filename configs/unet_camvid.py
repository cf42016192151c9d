"""U-Net on CamVid, 11 classes, from scratch, within an hour of two cores.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597), same
  padding and BatchNorm, width 16 (1,942,747 parameters).
Command: python -m jaxseg.main --config=configs/unet_camvid.py \
  --workdir=runs/camvid
Data: jaxseg_camvid, SegNet's split of 367 / 101 / 233 (python -m
  jaxseg.data.prepare --dataset=camvid --raw=DIR). The network works at three
  quarters of the size; scored at 360x480, void ignored.
Hardware: two CPU cores, 52 minutes beside other work. Measured, seed 0: val
  mIoU 0.538 and pixel accuracy 0.877 (mIoU 0.377 after 600 steps, 0.495 after
  1200). With unweighted cross-entropy at half the size, 1100 steps: 0.428.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 1800
  c.ema_decay = 0.998
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 6
  # Around three quarters of the size: poles and signs are a few pixels wide.
  c.data.augment = "random_scale(0.5, 1.0, 0.2)|crop(176, 240)|flip|photometric"
  c.data.eval = "pad"
  c.inference.scales = (0.75,)
  c.task.losses = ("cross_entropy", "dice*0.5")
  # Square roots of the median-frequency weights (Badrinarayanan et al. 2015,
  # arXiv 1511.00561): in full they cost the large classes more than they give.
  c.task.class_weights = (
    0.51,  # sky
    0.43,  # building
    2.14,  # pole
    0.38,  # road
    0.95,  # pavement
    0.62,  # tree
    3.11,  # sign
    1.36,  # fence
    0.83,  # car
    2.50,  # pedestrian
    2.71,  # bicyclist
  )
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  c.eval.every = 600
  c.eval.batch_size = 4
  c.checkpoint.every = 300
  return c
