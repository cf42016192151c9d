"""14 joints of the embedded scenes' people: a U-Net and Mask R-CNN's softmax.

Nothing of the network knows of keypoints: configs/unet_scenes.py has the same
with another task.

Paper: He, Gkioxari, Dollar, Girshick, "Mask R-CNN" (2017, arXiv 1703.06870)
  for the loss, a softmax over all positions with one-hot truth; U-Net (2015,
  arXiv 1505.04597).
Command: python -m jaxseg.main --config=configs/keypoints_scenes.py \
  --workdir=runs/joints
Data: scenes, made on the spot; of each picture the crop around a person, any in
  training and the largest in evaluation. Pictures without people count nowhere.
Hardware: two CPU cores. Not yet measured.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 800
  c.data.name = "scenes"
  c.data.size = (64, 64)
  c.data.batch_size = 16
  c.data.augment = "person(1.5, 'any')|flip"
  c.data.eval = "person(1.5)"
  c.task.name = "keypoints"
  c.task.method = "one_hot"
  c.task.stride = 2
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
