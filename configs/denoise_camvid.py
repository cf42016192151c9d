"""A plain DnCNN on CamVid: Gaussian noise of deviation 25/255, in colour.

Paper: Zhang, Zuo, Chen, Meng, Zhang, "Beyond a Gaussian Denoiser" (2017, arXiv
  1608.03981): 3x3 convolutions of 64 channels, BatchNorm and ReLU, that predict
  the noise. Recipe (from memory, to be checked against the paper): 17 layers,
  patches of 40 pixels, batches of 128, squared errors, 50 epochs. Here, for two
  cores: 8 layers of 32 channels and a 1x1 head, BatchNorm after the first layer
  too, Adam, 48,000 patches of 64 pixels, and the clean image is predicted, not
  the noise: a network learns to pass smooth parts on long before it learns to
  pass noise on. After 400 steps the PSNR has gained 3.3 dB with
  --config.task.residual=False and less than 1 with True.
Command: python -m jaxseg.main --config=configs/denoise_camvid.py \
  --workdir=runs/denoise_camvid
Data: jaxseg_camvid, SegNet's split of 367 / 101 / 233 (python -m
  jaxseg.data.prepare --dataset=camvid --raw=DIR), its images alone, at 360x480.
Hardware: two CPU cores, half an hour on one. What counts is psnr_gain, in dB
  over the noisy image: val, 101 images, seed 0, +7.44 (20.17 to 27.61, SSIM
  .799) at the best step, 2400; +5.67 +6.23 +7.19 +7.44 after 600 ... 2400.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 3000
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 16
  c.data.augment = "crop(64)|flip"
  c.data.eval = "pad"
  c.task.name = "denoising"
  c.task.noise = "gaussian"
  c.task.level = 25 / 255
  c.task.residual = False
  c.task.losses = ("l2",)
  c.model.name = "fullres"
  c.model.width = 32
  c.model.depth = 8  # and the head
  c.optim.name = "adam"
  c.optim.lr = 1e-3
  c.optim.weight_decay = 0.0
  c.eval.every = 600
  c.eval.batch_size = 4
  c.checkpoint.every = 600
  return c
