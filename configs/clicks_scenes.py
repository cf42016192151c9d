"""U-Net that cuts out what is clicked on: the embedded scenes.

Paper: Xu, Price, Cohen, Yang, Huang, "Deep Interactive Object Selection" (2016,
  arXiv 1603.04042): image and two maps of distances to clicks in, the object
  out. The paper's network is FCN-8s with a graph cut behind it, on PASCAL VOC;
  this is U-Net on five channels, of any network of the registry. Objects here
  are a quarter of the paper's in length: clicks in training may be 4 pixels
  apart and not 10, and are seen as discs of radius 3. The paper's distances:
  --config.task.click_map=distance --config.task.click_reach=64
Command: python -m jaxseg.main --config=configs/clicks_scenes.py \
  --workdir=runs/clicks
  then --mode=predict IMAGES --config.predict.clicks=clicks.json
Data: scenes, 600 stills of 96x128, made on the spot; the instances.
Hardware: two CPU cores; 15 minutes of one. Measured with seed 0 on val, 100
  objects: NoC@85 10.2, NoC@90 13.9 of at most 20 clicks, 35% never at 0.85; IoU
  0.58 after one click, 0.75 after 5, 0.81 after 20. With the paper's distances
  and steps of 10 pixels 11.4, 13.0, 51%; 0.69, 0.74, 0.74: better at the first
  click, and deaf to the later ones.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 1600
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.task.name = "clicks"
  c.task.click_map = "disc"
  c.task.click_reach = 3.0
  c.task.click_step = 4.0
  c.task.clicks = 20
  c.task.losses = ("cross_entropy", "dice*0.5")
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 400
  c.eval.batch_size = 20
  c.checkpoint.every = 400
  return c
