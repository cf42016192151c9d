"""Depth of the embedded scenes from the motion of the camera.

Paper: Fonder, Ernst, Van Droogenbroeck, "M4Depth: Monocular depth estimation
  for autonomous vehicles in unseen environments" (2022, arXiv 2105.09847).
  Theirs: Adam 1e-4, batch 3, clips of 4, 384x384, 220k steps on Mid-Air. Ours
  is short, with a higher and falling rate. 4,492,238 parameters.
Command: python -m jaxseg.main --config=configs/m4depth_scenes.py \
  --workdir=runs/m4depth_scenes
  Frames of your own, with camera.json and poses.csv beside them, then by the
  same command with --mode=predict FOLDER.
Data: scenes_clips, 40 clips of eight frames of 96x128, made on the spot, cut
  into clips of four; things move on their own; sky has no depth. Evaluated on
  frames 2-8 of the eight clips of val.
Hardware: two CPU cores; compiles for two minutes. Expected: Not yet measured.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.steps = 1200
  c.data.name = "scenes_clips"
  c.data.size = (96, 128)
  c.data.frames = 4
  c.data.eval_frames = 8
  c.data.batch_size = 2
  c.data.augment = "flip|reverse|photometric"
  c.data.eval = "pad"
  c.task.name = "video_depth"
  c.task.min_m = 0.5
  c.task.max_m = 60.0
  c.model.name = "m4depth"
  c.optim.name = "adam"
  c.optim.lr = 5e-4
  c.optim.warmup_steps = 50
  c.optim.clip_norm = 5.0
  c.eval.every = 300
  c.eval.batch_size = 4
  c.checkpoint.every = 300
  return c
