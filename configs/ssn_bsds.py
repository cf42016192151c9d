"""Superpixels of learned features on BSDS500: superpixel sampling networks.

Paper: Jampani, Sun, Liu, Yang, Kautz, "Superpixel Sampling Networks", ECCV 2018
  (arXiv 1807.10174).
Command: python -m jaxseg.main --config=configs/ssn_bsds.py \
  --workdir=runs/ssn --config.data.data_dir=DATA
  Then what configs/slic_bsds.py measures, with about 200 superpixels a picture:
  --mode=eval --config.method.name=learned_slic --config.task.step=27.8
  --config.task.rounds=10; the same with --mode=predict IMAGES.
Data: BSDS500, 200 train and 100 val images; once: python -m
  jaxseg.data.prepare --dataset=bsds500 --raw=RAW --data_dir=DATA.
Hardware: one core of a 2.5 GHz Xeon, an hour beside other work. Seed 0, val,
  100 images, about 200 asked for, beside configs/slic_bsds.py:
                  recall  undersegmentation  ASA   superpixels
    these          .689        .137          .930    158.4
    SLIC           .708        .144          .926    155.1
  (small pieces join the longest border here, the nearest colour there).

The paper's recipe: crops of 201 x 201 with about 100 superpixels, batches of 8,
Adam at 1e-4 for 500,000 steps, 5 rounds (10 in tests), 15 features, weight
1e-5 of the compactness, mirrored and scaled pictures, each person's map an
example. Ours differs: 600 steps at a rate of 1e-3 that falls, batches of 4,
the map of the person with most regions.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 600
  c.data.name = "bsds500"
  c.data.size = (481, 481)  # holds 321x481 and 481x321
  c.data.batch_size = 4
  c.data.augment = "random_scale(0.75, 1.5)|crop(201)|flip"
  c.data.eval = "pad"
  c.task.name = "superpixels"
  c.task.channels = 15
  c.task.step = 20.0
  c.task.rounds = 5
  c.task.place = 2.5
  c.task.colour = 0.26
  c.task.labels = 50
  c.task.compactness = 1e-5
  c.model.name = "ssn"
  c.optim.lr = 1e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 4
  c.checkpoint.every = 200
  return c
