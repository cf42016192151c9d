"""Classes, depth and normals of the embedded scenes by one network.

One encoder and decoder, a 1x1 convolution per task, one compiled step. The
single-task runs beside it are configs/unet_scenes.py,
configs/unet_scenes_depth.py and configs/unet_scenes_normals.py, which have the
same network, steps and rate.

Paper: Eigen, Fergus, "Predicting Depth, Surface Normals and Semantic Labels
  with a Common Multi-Scale Convolutional Architecture" (2015, arXiv
  1411.4734) for the three tasks; Kendall, Gal, Cipolla, "Multi-Task Learning
  Using Uncertainty to Weigh Losses" (2018, arXiv 1705.07115) for the weights
  that are learned (--config.task.weighting=learned). The network is U-Net
  (2015, arXiv 1505.04597).
Command: python -m jaxseg.main --config=configs/multi_scenes.py \
  --workdir=runs/multi
Data: scenes, 600 stills of 96x128, made on the spot, with exact truth.
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
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.name = "multi"
  c.task.tasks = ("semantic", "depth", "normals")
  c.task.losses = (
    "semantic/cross_entropy",
    "semantic/dice*0.5",
    "depth/silog",
    "depth/l1*0.1",
    "normals/cosine",
  )
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
