"""A U-Net takes Gaussian noise off the embedded scenes.

Paper: Vincent et al., "Stacked Denoising Autoencoders" (2010, JMLR 11): noisy
  image in, clean image out; with task.residual the noise is predicted (Zhang et
  al. 2017, arXiv 1608.03981). The recipe is our own. Other noise:
  --config.task.noise=salt_pepper, pixels or patches (He et al. 2021, arXiv
  2111.06377), each with its own --config.task.level.
Command: python -m jaxseg.main --config=configs/denoise_scenes.py \
  --workdir=runs/denoise
Data: scenes, 600 stills of 96x128, made on the spot; noise of 25/255.
Hardware: two CPU cores. Not yet measured at full length. After 300 steps, seed
  0, first 40 of val: PSNR 22.57 dB (noisy 20.17); with residual=True 20.47.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 600
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.name = "denoising"
  c.task.noise = "gaussian"
  c.task.level = 25 / 255
  c.task.residual = False
  c.task.losses = ("l2",)
  c.model.name = "unet"
  c.model.width = 16
  c.model.depth = 3
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
