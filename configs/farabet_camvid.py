"""Multi-scale scene labelling on CamVid.

Paper: Farabet, Couprie, Najman, LeCun, "Learning Hierarchical Features for
  Scene Labeling" (2013, doi 10.1109/TPAMI.2012.231). Recipe (from memory, to be
  checked against the paper): features trained by stochastic gradients with a
  linear classifier, then a two-layer classifier on them; images mirrored,
  rotated by up to 8 degrees and scaled by .9 to 1.1; pixels drawn with the
  frequency of their class, or with equal ones ("balanced"). Numbers (from
  memory too): pixel accuracy .788, class accuracy .724 on Stanford Background,
  .814 and .760 with a cover by superpixels.
Command: python -m jaxseg.main --config=configs/farabet_camvid.py \
  --workdir=runs/farabet
Data: jaxseg_camvid (python -m jaxseg.data.prepare --dataset=camvid --raw=DIR).
  The paper trained on Stanford Background, SIFT Flow and Barcelona; here
  CamVid. Features and classifier are trained together.
Hardware: wants an accelerator. Not trained here.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 20_000  # the paper trains until its validation error stays
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 4
  c.data.augment = "random_scale(0.9, 1.1)|rotate(8)|crop|flip"
  c.data.eval = "pad"
  c.model.name = "farabet"
  c.model.levels = 3
  c.model.width = 16
  c.model.hidden = 1024
  c.optim.name = "sgd"
  c.optim.lr = 1e-2
  c.optim.momentum = 0.9
  c.optim.schedule = "poly"
  c.optim.weight_decay = 1e-5
  c.eval.every = 2_000
  c.checkpoint.every = 2_000
  return c
