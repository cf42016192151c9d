"""DeconvNet on the pets: the first of the paper's two stages.

Paper: Noh, Hong, Han, "Learning Deconvolution Network for Semantic
  Segmentation" (2015, arXiv 1505.04366), as in the authors' code: VGG16 of
  ImageNet, 224x224, 64 images in eight parts, rate .01, a tenth of it every
  9,000 of 20,000 iterations, momentum .9, decay 5e-4; windows cut from 250x250,
  flips (these two from memory, to be checked against the paper). The first
  stage sees centred single objects, the second (10,000 of 40,000) proposals,
  whose score maps are aggregated afterwards. 251,804,483 parameters with three
  classes. The paper's number: VOC 2012 test mIoU .725, together with FCN-8s
  and a random field.
Command: python -m jaxseg.main --config=configs/deconvnet_pets.py \
  --workdir=runs/deconvnet
Data: TFDS oxford_iiit_pet 4.0.0 (python -m jaxseg.data.prepare
  --dataset=pets), resized. The paper trained on PASCAL VOC 2012; here the pets,
  one object in an image as in the first stage.
Hardware: wants an accelerator. Not trained here: the paper starts from VGG16's
  ImageNet weights; from scratch, as here, no score is claimed.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 20_000
  c.accumulate = 8  # statistics of eight images, gradients of 64
  c.data.name = "pets"
  c.data.size = (224, 224)
  c.data.batch_size = 64
  c.data.augment = "resize(250)|crop|flip"
  c.data.eval = "resize"
  c.task.losses = ("cross_entropy",)
  c.model.name = "deconvnet"
  c.optim.name = "sgd"
  c.optim.lr = 0.01
  c.optim.momentum = 0.9
  c.optim.schedule = "step"
  c.optim.step_at = (0.45, 0.9)
  c.optim.step_factor = 0.1
  c.optim.weight_decay = 5e-4
  c.eval.every = 1_000
  c.eval.batch_size = 16
  c.checkpoint.every = 1_000
  return c
