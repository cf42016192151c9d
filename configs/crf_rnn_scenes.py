"""U-Net on the embedded scenes with a random field that is trained with it.

Paper: Zheng et al., "Conditional Random Fields as Recurrent Neural Networks"
  (2015, arXiv 1502.03240): FCN-8s on PASCAL VOC 2012, the field trained behind
  it with 5 iterations, 10 afterwards, one full image a step, rate 1e-13 of a
  sum over pixels. Here the U-Net of unet_scenes.py and the field are trained
  together from scratch, the deviations scaled from 500 pixels to 128.
Command: python -m jaxseg.main --config=configs/crf_rnn_scenes.py \
  --workdir=runs/crf_rnn
Data: scenes, 600 stills of 96x128, made on the spot.
Hardware: two CPU cores. Expected: not yet measured (unet_scenes.py alone: val
  mIoU 0.913).
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 800
  c.data.name = "scenes"
  c.data.size = (96, 128)
  c.data.batch_size = 4
  c.data.augment = "flip"
  c.data.eval = "pad"
  c.model.name = "unet"
  c.model.width = 16
  c.model.norm = "batch"
  c.model.crf.iterations = 5
  c.model.crf.test_iterations = 10
  c.model.crf.bilateral_weight = 2.0
  c.model.crf.bilateral_deviation = 20.0
  c.model.crf.smooth_weight = 1.0
  c.model.crf.smooth_deviation = 1.0
  c.optim.lr = 3e-3
  c.optim.warmup_steps = 20
  c.eval.every = 200
  c.eval.batch_size = 20
  c.checkpoint.every = 200
  return c
