"""Depth of the embedded scenes as a choice among 64 bins.

Nothing differs from configs/unet_scenes_depth.py but the task: a softmax over
bins that are equally wide in the logarithm, cross-entropy, and the expectation
for the answer.

Paper: U-Net (2015, arXiv 1505.04597); the expectation over bins of AdaBins
  (2020, arXiv 2011.14141), whose bins follow the image; ours stay.
Command: python -m jaxseg.main --config=configs/unet_scenes_depth_bins.py \
  --workdir=runs/depth_bins
Data: scenes, 600 stills of 96x128, made on the spot; sky has no depth.
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
  c.task.name = "depth_bins"
  c.task.losses = ("cross_entropy",)
  c.task.min_m = 0.5
  c.task.max_m = 60.0
  c.task.bins = 64
  c.task.spacing = "sid"
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
