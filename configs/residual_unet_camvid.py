"""Deep residual U-Net on CamVid.

Paper: Zhang, Liu, Wang, "Road Extraction by Deep Residual U-Net" (2018, arXiv
  1711.10684). Recipe (from memory, to be checked against the paper): 30,000
  random crops of 224x224, batch 8, 50 epochs, stochastic gradients with rate
  .001, a tenth of it every 20 epochs, squared errors of a sigmoid. The paper's
  number: break-even point .9187 of precision and recall on the Massachusetts
  roads.
Command: python -m jaxseg.main --config=configs/residual_unet_camvid.py \
  --workdir=runs/residual_unet
Data: jaxseg_camvid (python -m jaxseg.data.prepare --dataset=camvid --raw=DIR).
  The paper trained on aerial photographs; here CamVid, with a softmax and
  cross-entropy.
Hardware: an accelerator. Not trained here.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 187_500  # 50 epochs of 30,000 crops
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 8
  c.data.augment = "crop(224)"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy",)
  c.model.name = "residual_unet"
  c.model.width = 64
  c.model.depth = 3
  c.optim.name = "sgd"
  c.optim.lr = 1e-3
  c.optim.momentum = 0.9
  c.optim.schedule = "step"
  c.optim.step_at = (0.4, 0.8)
  c.optim.step_factor = 0.1
  c.optim.weight_decay = 0.0
  c.eval.every = 5_000
  c.checkpoint.every = 5_000
  return c
