"""Depth by the three scales of Eigen and Fergus, trained in their two phases.

Paper: Eigen, Fergus, "Predicting Depth, Surface Normals and Semantic Labels
  with a Common Multi-Scale Convolutional Architecture" (2015, arXiv
  1411.4734). Its recipe: the raw frames of NYU Depth v2 at 240x320, crops of
  228x304; scales 1 and 2 together, batches of 32, then scale 3 alone, batches
  of 16; SGD with momentum .9 and a rate for every kind of layer; zoom .6 to
  1.5, 5 degrees, colours, flips; depth from 0.7 to 10 m. VGG-16 starts from
  ImageNet: --config.model.encoder.weights=FILE, one of Caffe's weights. Its
  depth and normals share scale 1; here a run trains one task, and the weights
  of another run may be its start.
Command: python -m jaxseg.main --config=configs/eigen_nyu.py:coarse \
  --workdir=runs/eigen_coarse
  python -m jaxseg.main --config=configs/eigen_nyu.py:fine \
  --workdir=runs/eigen_fine --config.model.weights=runs/eigen_coarse
  Behind the colon: coarse, scales 1 and 2, 217,076,775 parameters; fine, scale
  3 as well, 217,298,920 parameters, of which it alone learns (with a head of
  normals 217,974,446); small-coarse and small-fine, the same two phases of a
  narrow network on two cores.
Data: scenes, 600 stills of 96x128, made on the spot, enlarged: jaxseg has no
  NYU Depth v2.
Hardware: one GPU for coarse and fine, two CPU cores for small. Not yet
  measured.
"""

from jaxseg import defaults, naming

# Whether it is the second phase, and whether it is small.
VARIANTS = {
  "coarse": (False, False),
  "fine": (True, False),
  "small-coarse": (False, True),
  "small-fine": (True, True),
}


def get_config(variant="coarse"):
  """See the module; `variant` is one of VARIANTS."""
  second, small = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c = defaults.get_config()
  c.data.name = "scenes"
  c.task.name = "depth"
  c.task.min_m = 0.5
  c.task.max_m = 60.0
  c.task.log_unit = 0.45723134
  # The paper's loss is of log-depth in that unit: 1 / 0.45723134^2.
  c.task.losses = ("eigen*4.7834",)
  c.model.name = "eigen"
  c.model.scales = 3 if second else 2
  if second:
    c.model.weights = "runs/eigen_coarse"
    c.model.missing = ("image3", "fine_depth")
    c.optim.rules = (("^(encoder|full|image2|coarse|bias)", 0.0),)
  if small:
    c.steps = 300 if second else 800
    c.data.size = (96, 128)
    c.data.batch_size = 4
    c.data.augment = "flip"
    c.data.eval = "pad"
    c.model.input_size = (96, 128)
    c.model.width = 16
    c.model.image_width = 24
    c.model.fc_width = 256
    c.model.feature_scale = 1.0
    c.model.encoder.name = "vgg16"
    c.model.encoder.width = 16
    c.optim.lr = 1e-3
    c.optim.warmup_steps = 20
    c.eval.batch_size = 20
  else:
    c.steps = 20_000 if second else 100_000
    c.data.size = (228, 304)
    c.data.batch_size = 16 if second else 32
    c.data.augment = (
      "resize|random_scale(0.6, 1.5)|rotate(5)|crop|photometric|flip"
    )
    c.optim.name = "sgd"
    c.optim.schedule = "constant"
    c.optim.lr = 0.01
    c.optim.weight_decay = 0.0
    if not second:
      c.optim.rules = (("^encoder/", 0.1),)
  c.eval.every = 200 if small else 2000
  c.checkpoint.every = c.eval.every
  return c
