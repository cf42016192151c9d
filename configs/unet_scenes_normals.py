"""Surface normals of the embedded scenes: same network, other task.

Nothing differs from configs/unet_scenes.py but the task, the loss and the
metric: any network meets any task by config.

Paper: U-Net (2015, arXiv 1505.04597) with the dot product of unit vectors as
  in Eigen, Fergus (2015, arXiv 1411.4734), whose network this is not.
Command: python -m jaxseg.main --config=configs/unet_scenes_normals.py \
  --workdir=runs/normals
Data: scenes, 600 stills of 96x128, made on the spot, with exact normals; sky
  has none.
Hardware: two CPU cores. Expected: not yet measured.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 800
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"  # negates the x of normals
  c.data.eval = "pad"
  c.task.name = "normals"
  c.task.losses = ("cosine",)
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
