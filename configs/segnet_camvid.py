"""SegNet on CamVid, 11 classes.

Paper: Badrinarayanan, Kendall, Cipolla, "SegNet" (2015, arXiv 1511.00561), as
  in the authors' code: VGG16 of ImageNet, whole images, batch 4, rate .001,
  momentum .9, decay 5e-4, 40,000 iterations, median-frequency class weights,
  running statistics estimated anew for inference. The paper has rate .1 and
  batch 12 (from memory, to be checked against the paper). 29,449,355
  parameters. The paper's number: mIoU .601 and global accuracy .904 with 3,500
  more images (from memory, to be checked); 367 images give less.
Command: python -m jaxseg.main --config=configs/segnet_camvid.py \
  --workdir=runs/segnet
Data: jaxseg_camvid, SegNet's split of 367 / 101 / 233 (python -m
  jaxseg.data.prepare --dataset=camvid --raw=DIR), void ignored.
Hardware: an accelerator. Not trained here: the paper starts from VGG16's
  ImageNet weights; from scratch, as here, no score is claimed.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 40_000
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 4
  c.data.augment = "pad"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy",)
  # Median of the classes' frequencies over the class's own, each counted in
  # the images that have the class; the authors' numbers.
  c.task.class_weights = (
    0.2595,  # sky
    0.1826,  # building
    4.5640,  # pole
    0.1417,  # road
    0.9051,  # pavement
    0.3826,  # tree
    9.6446,  # sign
    1.8418,  # fence
    0.6823,  # car
    6.2478,  # pedestrian
    7.3614,  # bicyclist
  )
  c.task.normalization = "pixels"  # Caffe's, from memory
  c.model.name = "segnet"
  c.optim.name = "sgd"
  c.optim.lr = 1e-3
  c.optim.momentum = 0.9
  c.optim.schedule = "constant"
  c.optim.weight_decay = 5e-4
  c.eval.every = 2_000
  c.checkpoint.every = 2_000
  return c
