"""The recurrent convolutional network of scene labelling on CamVid.

Paper: Pinheiro, Collobert, "Recurrent Convolutional Neural Networks for Scene
  Labeling" (2014, arXiv 1306.2795). Recipe (from memory, to be checked against
  the paper): the losses of all instances are summed, two or three instances
  share their weights, stochastic gradients on one patch at a time. Numbers
  (from memory too): pixel accuracy .802, class accuracy .699 on Stanford
  Background; .777 and .298 on SIFT Flow.
Command: python -m jaxseg.main --config=configs/pinheiro_camvid.py \
  --workdir=runs/pinheiro
Data: jaxseg_camvid (python -m jaxseg.data.prepare --dataset=camvid --raw=DIR).
  The paper trained on Stanford Background and SIFT Flow; here CamVid, with all
  pixels of an image at once.
Hardware: wants an accelerator. Not trained here.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 20_000  # the paper gives none for batches of images
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 4
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.aux_weight = 1.0  # every instance counts alike
  c.model.name = "pinheiro"
  c.model.instances = 2
  c.model.width = 25
  c.optim.name = "sgd"
  c.optim.lr = 1e-2
  c.optim.momentum = 0.9
  c.optim.schedule = "poly"
  c.optim.weight_decay = 0.0
  c.eval.every = 2_000
  c.checkpoint.every = 2_000
  return c
