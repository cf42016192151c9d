"""Depth of a kitchen from single images, as a choice among 64 bins.

The rival of configs/m4depth_seven_scenes.py: the same frames, no motion.
Paper: U-Net (2015, arXiv 1505.04597); the expectation over bins of AdaBins
  (2020, arXiv 2011.14141), whose bins follow the image; ours stay.
Command: python -m jaxseg.main \
  --config=configs/unet_seven_scenes_depth_bins.py \
  --workdir=runs/unet_kitchen_bins --config.data.data_dir=DATA
Data: seven_scenes, see configs/m4depth_seven_scenes.py; 180 frames of 108x144.
  Evaluated on the frames that the clips there are: all of a split but the
  first five.
Hardware: two CPU cores. Measured with seed 0 on one core in 20 minutes: val
  AbsRel 0.109, RMSE 0.320 m, delta1 0.863 at step 600, the best, and 0.129 at
  the end; test 0.212, 0.347 m, 0.665. Numbers in place of bins
  (configs/unet_seven_scenes_depth.py) are better on val, 0.084, and the same on
  test, 0.210.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 1500
  c.data.name = "seven_scenes"
  c.data.size = (108, 144)
  c.data.frames = 10  # the clips of whose later frames val and test consist
  c.data.step = 5
  c.data.batch_size = 8
  c.data.augment = "resize|flip|photometric"
  c.data.eval = "resize"
  c.task.name = "depth_bins"
  c.task.losses = ("cross_entropy",)
  c.task.min_m = 0.3
  c.task.max_m = 8.0
  c.task.bins = 64
  c.task.spacing = "sid"
  c.model.name = "unet"
  c.model.width = 24
  c.model.norm = "batch"
  c.optim.lr = 2e-3
  c.optim.warmup_steps = 50
  c.eval.every = 300
  c.eval.batch_size = 15
  c.checkpoint.every = 300
  return c
