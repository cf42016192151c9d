"""DnCNN on CamVid: Gaussian noise of deviation 25/255 is predicted, in colour.

Paper: Zhang, Zuo, Chen, Meng, Zhang, "Beyond a Gaussian Denoiser" (2017, arXiv
  1608.03981): 3x3 convolutions of 64 channels, BatchNorm and ReLU, that predict
  the noise. Recipe (from memory, to be checked against the paper): 17 layers,
  patches of 40 pixels, batches of 128, squared errors, 50 epochs. Here: a 1x1
  head instead of the last 3x3, BatchNorm after the first layer too; Adam,
  larger patches, fewer of them. The paper's numbers are of other data.
Command: python -m jaxseg.main --config=configs/denoise_camvid.py \
  --workdir=runs/denoise_camvid
Data: jaxseg_camvid, SegNet's split of 367 / 101 / 233 (python -m
  jaxseg.data.prepare --dataset=camvid --raw=DIR), its images alone, at 360x480.
Hardware: one GPU. Not yet measured. What counts is psnr_gain, in dB over the
  noisy image.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 20_000
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 16
  c.data.augment = "crop(96)|flip"
  c.data.eval = "pad"
  c.task.name = "denoising"
  c.task.noise = "gaussian"
  c.task.level = 25 / 255
  c.task.residual = True
  c.task.losses = ("l2",)
  c.model.name = "fullres"
  c.model.width = 64
  c.model.depth = 16  # and the head
  c.optim.name = "adam"
  c.optim.lr = 1e-3
  c.optim.weight_decay = 0.0
  c.eval.every = 2000
  c.eval.batch_size = 4
  c.checkpoint.every = 1000
  return c
