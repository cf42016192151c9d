"""Depth of the embedded scenes by a narrow DORN: 64 ordinal questions.

Paper: Fu, Gong, Wang, Batmanghelich, Tao, "Deep Ordinal Regression Network for
  Monocular Depth Estimation" (2018, arXiv 1806.02446): ResNet-101 with the
  deep stem from ImageNet, crops of 385x513 of KITTI, 71 bins, 99.8 million
  parameters; evaluated by windows of that size (config.inference.mode =
  'slide'). Here the encoder is a narrow ResNet-18, dilations and windows are
  smaller as the maps are, and the recipe is that of
  configs/unet_scenes_depth_ordinal.py.
Command: python -m jaxseg.main --config=configs/dorn_scenes.py \
  --workdir=runs/dorn
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
  c.task.name = "depth_ordinal"
  c.task.losses = ("ordinal",)
  c.task.min_m = 0.5
  c.task.max_m = 60.0
  c.task.bins = 64
  c.task.spacing = "sid"
  c.model.name = "dorn"
  c.model.input_size = (96, 128)  # a map of 13 x 17
  c.model.window = 4  # 4 x 5 averages, as many as the paper's
  c.model.width = 64
  c.model.rates = (2, 4, 6)
  c.model.hidden = 128
  c.model.dropout = 0.2
  c.model.encoder.name = "resnet18"
  c.model.encoder.width = 16
  c.model.encoder.stem = "deep"
  c.optim.lr = 1e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
