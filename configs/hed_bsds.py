"""HED on BSDS500: VGG-16 with five side outputs, 14,716,171 parameters.

Paper: Xie, Tu, "Holistically-Nested Edge Detection" (2015, arXiv 1504.06375).
  It has ODS 0.782, OIS 0.804, AP 0.833 on the 200 test images, trained on train
  and val, its fused answer averaged with its side outputs (numbers from memory,
  as is the recipe below; check them before they are quoted).
Command: python -m jaxseg.main --config=configs/hed_bsds.py \
  --workdir=runs/hed --config.data.data_dir=DATA
  Then the benchmark on val, of thin lines, as in the paper: --mode=eval
  --config.method.name=learned_lines; of the regions behind them (the oriented
  watershed and the ultrametric contour map): learned_ucm. With --mode=predict
  IMAGES both are drawn.
Data: BSDS500, 200 train and 100 val images; once: python -m
  jaxseg.data.prepare --dataset=bsds500 --raw=RAW --data_dir=DATA. With a test
  split, --config.data.train_split=train+val --config.eval.split=test. Weights:
  VGG-16 of torchvision, a download of 528 MB.
Hardware: wants an accelerator. Not yet measured.

The paper's recipe: batches of 10, SGD with momentum 0.9, rate 1e-6 on losses
that are summed over the pixels of an image, a tenth of it after half of 10,000
steps, decay 2e-4; side outputs start at 0, their sum at 1/5 each, all losses
weigh 1; pictures turned by 16 angles and mirrored. Ours differs: pixels that
fewer than half of the people drew do not train, where they are negatives;
angles and scales are drawn at random, in windows of 320 x 320; the weights are
torchvision's and not Caffe's, so that the rate may want another factor.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 10_000
  c.data.name = "bsds500"
  c.data.size = (481, 481)  # holds 321x481 and 481x321
  c.data.batch_size = 10
  c.data.augment = "random_scale(0.5, 1.5)|rotate(180)|crop(320)|flip"
  c.data.eval = "pad"
  c.task.name = "boundaries"
  c.task.losses = ("balanced_sum",)
  c.task.aux_weight = 1.0
  c.task.agreement = 0.5
  c.model.name = "hed"
  c.model.encoder.name = "vgg16"
  c.model.encoder.weights = "vgg16"
  c.optim.name = "sgd"
  c.optim.lr = 1e-6
  c.optim.schedule = "step"
  c.optim.step_at = (0.5,)
  c.optim.step_factor = 0.1
  c.optim.momentum = 0.9
  c.optim.weight_decay = 2e-4
  c.eval.every = 1000
  c.eval.batch_size = 4
  c.checkpoint.every = 1000
  return c
