"""Depth of the embedded scenes by direct regression: same network, other task.

Nothing differs from configs/unet_scenes.py but the task, the loss and the
metric: any network meets any task by config.

Paper: U-Net (2015, arXiv 1505.04597) with the scale-invariant log loss of
  Eigen, Puhrsch, Fergus (2014, arXiv 1406.2283).
Command: python -m jaxseg.main --config=configs/unet_scenes_depth.py \
  --workdir=runs/depth
Data: scenes, 600 stills of 96x128, made on the spot; sky has no depth.
Hardware: two CPU cores. Expected: AbsRel 0.193, delta1 0.712 on val after 400
  steps, two minutes (--config.steps=400, seed 0).
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 800
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.name = "depth"
  c.task.losses = ("silog", "l1*0.1")
  c.task.min_m = 0.5
  c.task.max_m = 60.0
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
