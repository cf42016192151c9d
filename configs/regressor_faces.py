"""Direct regression of 68 points of faces: 136 numbers from one vector.

Paper: Toshev, Szegedy, "DeepPose: Human Pose Estimation via Deep Neural
  Networks" (2013, arXiv 1312.4659), its first stage: here ResNet-18 from
  scratch, a 4x4 grid of averages and one hidden layer. 15,391,628 parameters,
  as many as the 15,389,828 of the network of heatmaps but for 0.01%.
  Same data, size and recipe as configs/simple_baseline_faces.py, for the
  lectures' comparison of heatmaps with direct regression.
Command: python -m jaxseg.main --config=configs/regressor_faces.py \
  --workdir=runs/faces_direct
Data: jaxseg_faces (python -m jaxseg.data.prepare --dataset=faces --raw=DIR),
  841 / 208 images with no person in both; stretched to 128x128, scored there.
Hardware: two CPU cores, or an accelerator; 20 minutes of one core. Measured
  with seed 0 on val: NME 0.155, PCK 0.445; with 256 hidden units, 13,309,128
  parameters, 0.134 and 0.510. Heatmaps have 0.090 and 0.708.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.epochs = 40.0
  c.data.name = "faces"
  c.data.size = (128, 128)
  c.data.batch_size = 16
  c.data.augment = "rotate(20)|random_scale(0.8, 1.2)|resize|flip|photometric"
  c.data.eval = "resize"
  c.task.name = "keypoints"
  c.task.method = "direct"
  c.task.losses = ("smooth_l1",)
  c.task.alpha = 0.1
  c.model.name = "regressor"
  c.model.encoder.name = "resnet18"
  c.model.hidden = 506  # as many parameters as the heatmaps' network
  c.optim.name = "adam"
  c.optim.lr = 1e-3
  c.optim.schedule = "step"
  c.optim.step_at = (0.64, 0.86)
  c.optim.warmup_steps = 50
  c.optim.weight_decay = 0.0
  c.inference.flip = True
  c.eval.every = 500
  c.eval.batch_size = 16
  c.checkpoint.every = 500
  return c
