"""Depth of a kitchen from the motion of a hand-held camera.

Paper: Fonder, Ernst, Van Droogenbroeck, "M4Depth: Monocular depth estimation
  for autonomous vehicles in unseen environments" (2022, arXiv 2105.09847);
  the recipe is our own. 4,492,238 parameters.
Command: python -m jaxseg.main --config=configs/m4depth_seven_scenes.py \
  --workdir=runs/m4depth_kitchen --config.data.data_dir=DATA
  then --mode=eval, and --mode=predict RAW/test/rgb for a stream of files.
  Rivals of single images, evaluated on the same frames:
  configs/unet_seven_scenes_depth.py, configs/unet_seven_scenes_depth_bins.py.
Data: an excerpt of 7-Scenes RedKitchen (Shotton et al., CVPR 2013; Microsoft's
  licence, research without commerce), prepared by python -m
  jaxseg.data.prepare --dataset=seven_scenes --raw=RAW --data_dir=DATA. 180
  frames to train on, 50 in val, 50 in test, all of the same room: it measures
  interpolation. 108x144. Every fifth frame is compared, a third of a second
  and some seven centimetres apart, in test four; evaluated on all frames of a
  split but the first five, 45.
Hardware: two CPU cores; compiles for two minutes. Measured with seed 0 on one
  core in some 40 minutes: val AbsRel 0.181, delta1 0.682 (0.370, 0.201, 0.185,
  0.181 after 300, 600, 900 and 1200 steps), test 0.374, 0.339. The single-image
  rival is better on the same frames (val 0.084, test 0.210): all frames are of
  one room, which it knows by heart, while parallax is some 5 pixels here and in
  test 2.5, of which a quarter of one is 5 to 10% of the depth, and 1200 steps
  are few for a network that learns from 220,000 in the paper.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 1200
  c.data.name = "seven_scenes"
  c.data.size = (108, 144)
  c.data.frames = 4
  c.data.step = 5
  c.data.eval_frames = 10
  c.data.batch_size = 2
  c.data.augment = "resize|flip|reverse|photometric"
  c.data.eval = "resize"
  c.task.name = "video_depth"
  c.task.min_m = 0.3
  c.task.max_m = 8.0
  c.model.name = "m4depth"
  c.optim.name = "adam"
  c.optim.lr = 5e-4
  c.optim.warmup_steps = 50
  c.optim.clip_norm = 5.0
  c.eval.every = 300
  c.eval.batch_size = 5
  c.checkpoint.every = 300
  return c
