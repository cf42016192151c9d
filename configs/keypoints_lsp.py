"""14 joints of sports people by heatmaps: top-down crops, SimpleBaseline.

Paper: Xiao, Wu, Wei (2018, arXiv 1804.06208) for the network, see
  configs/simple_baseline_faces.py; data and joints of Johnson, Everingham,
  "Learning Effective Human Pose Estimation from Inaccurate Annotation" (CVPR
  2011). 15,375,950 parameters on ResNet-18.
Command: python -m jaxseg.main --config=configs/keypoints_lsp.py \
  --workdir=runs/lsp
Data: jaxseg_lsp (python -m jaxseg.data.prepare --dataset=lsp --raw=DIR), 307 /
  77 images, a split that is not official. Training and evaluation see the crop
  around the person's labelled joints, 1.25 times their box: a detector's box
  would do worse. Scored there: PCK at a fifth of the torso, PCKh at half of
  the head, OKS with the area of the joints' box. A photograph is predicted as
  a whole: crop it to the person first.
Hardware: two CPU cores, or an accelerator; 307 images want the weights of
  --config.model.encoder.weights=resnet18. Not yet measured.
"""

from jaxseg import defaults


def get_config():
  """See the module."""
  c = defaults.get_config()
  c.epochs = 120.0
  c.data.name = "lsp"
  c.data.size = (128, 128)
  c.data.batch_size = 16
  c.data.augment = (
    "person(1.25)|rotate(30)|random_scale(0.8, 1.2)|crop|flip|photometric"
  )
  c.data.eval = "person(1.25)"
  c.task.name = "keypoints"
  c.task.method = "heatmap"
  c.model.name = "simple_baseline"
  c.model.encoder.name = "resnet18"
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
