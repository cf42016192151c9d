"""The sliding-window patch classifier on the embedded scenes.

Paper: Ciresan, Giusti, Gambardella, Schmidhuber, "Deep Neural Networks Segment
  Neuronal Membranes in Electron Microscopy Images" (2012). Recipe (from memory,
  to be checked against the paper): patches of 65 and 95 pixels, three million
  of them in equal classes, 30 epochs of stochastic gradients with a falling
  rate, rotations and mirroring; pixel error .060 on ISBI 2012.
Command: python -m jaxseg.main --config=configs/patch_scenes.py \
  --workdir=runs/patch
Data: scenes, 600 stills of 96x128, made on the spot; the paper's 30 sections of
  512x512 are not available. Every pixel of an image is a patch of its batch.
Hardware: two CPU cores. Not yet measured.
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
  c.model.name = "patch"
  c.model.patch = 17
  c.model.width = 16
  c.model.fc_width = 64
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
