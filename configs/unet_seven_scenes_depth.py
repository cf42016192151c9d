"""Depth of a kitchen from single images, by direct regression.

The rival of configs/m4depth_seven_scenes.py: the same frames, no motion.
Paper: U-Net (2015, arXiv 1505.04597) with the scale-invariant log loss of
  Eigen, Puhrsch, Fergus (2014, arXiv 1406.2283).
Command: python -m jaxseg.main --config=configs/unet_seven_scenes_depth.py \
  --workdir=runs/unet_kitchen --config.data.data_dir=DATA
Data: seven_scenes, see configs/m4depth_seven_scenes.py; 180 frames of 108x144.
  Evaluated on the frames that the clips there are: all of a split but the
  first five.
Hardware: two CPU cores. Measured with seed 0 on one core in some 30 minutes:
  val AbsRel 0.084, RMSE 0.232 m, delta1 0.924; test 0.210, 0.346 m, 0.657 (by
  commit 598a553, whose convolutions on CPUs round otherwise).
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
  c.task.name = "depth"
  c.task.losses = ("silog", "l1*0.1")
  c.task.min_m = 0.3
  c.task.max_m = 8.0
  c.model.name = "unet"
  c.model.width = 24
  c.model.norm = "batch"
  c.optim.lr = 2e-3
  c.optim.warmup_steps = 50
  c.eval.every = 300
  c.eval.batch_size = 15
  c.checkpoint.every = 300
  return c
