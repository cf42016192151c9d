"""Colours for the embedded scenes from their lightness: 261 bins in Lab.

Paper: Zhang, Isola, Efros, "Colorful Image Colorization" (2016, arXiv
  1603.08511). Its recipe: crops of 176, batches of 40, Adam with rate 3e-5 and
  decays .9 and .99, weight decay 1e-3, the rate divided by ten every 225,000
  steps, some 500,000 steps on ImageNet, grey pictures skipped; its numbers are
  of ImageNet. The table of bins is our own, not the published one of 313.
Command: python -m jaxseg.main --config=configs/colorize_scenes.py:unet \
  --workdir=runs/colorize
  Behind the colon: unet, small, at the size of the image; or published, the
  paper's network of 32,222,021 parameters with its rate and weight decay, at
  stride 4. Rare colours weigh more with --config.task.prior=prior.txt, from
  python -m jaxseg.data.colors --dataset=scenes --out=prior.txt
Data: scenes, 600 stills of 96x128, made on the spot.
Hardware: two CPU cores for unet, a GPU for published. Not yet measured.
"""

from jaxseg import defaults, naming

VARIANTS = {"unet": False, "published": True}


def get_config(variant="unet"):
  """See the module; `variant` is one of VARIANTS."""
  published = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c = defaults.get_config()
  c.steps = 800
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.name = "colorization"
  c.task.skip_grey = True
  c.model.name = "unet"
  if published:
    c.model.name = "colorization"
    c.model.coarse = True
    c.optim.name = "adam"
    c.optim.schedule = "constant"
    c.optim.lr = 3e-5
    c.optim.b2 = 0.99
    c.optim.weight_decay = 1e-3
    c.data.batch_size = 40
    c.steps = 20_000
  else:
    c.model.width = 16
    c.model.depth = 3
    c.model.norm = "batch"
    c.optim.lr = 3e-3
    c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 10
  c.checkpoint.every = 200
  return c
