"""SimpleBaseline on faces with 68 points, by heatmaps.

Paper: Xiao, Wu, Wei, "Simple Baselines for Human Pose Estimation and Tracking"
  (2018, arXiv 1804.06208): ResNet-50 of ImageNet, three transposed
  convolutions of 256 channels, people of 256x192, Gaussians of 2 cells at
  stride 4; Adam at 1e-3, a tenth of it at epochs 90 and 120 of 140, batches of
  128; flipped views averaged. COCO val AP .704 (from memory, to be checked
  against the paper). Here ResNet-18 from scratch, for 841 images and a CPU:
  15,389,828 parameters with 68 points; or, as
  --config=configs/simple_baseline_faces.py:lite0, EfficientNet-Lite0 with
  ImageNet's weights, 6,385,732 parameters. The paper's network has 33,999,697
  with 17 joints: --config.model.encoder.name=resnet50
  --config.model.encoder.weights=resnet50. Its points are read off a quarter of
  a cell beside the highest one; here they are means around it (decode 'soft'),
  for a cell of 4 pixels is coarse beside the distances in a face.
Command: python -m jaxseg.main --config=configs/simple_baseline_faces.py \
  --workdir=runs/faces
Data: jaxseg_faces (python -m jaxseg.data.prepare --dataset=faces --raw=DIR),
  841 / 208 images with no person in both; stretched to 128x128, and scored
  there: NME by the distance of the outer corners of the eyes, PCK at a tenth of
  it.
Hardware: two CPU cores, or an accelerator; half an hour on one core, seed 0.
  Measured on val, by the three ways to read the same maps:
              soft                    quarter       argmax
  resnet18    NME 0.090, PCK 0.708    0.098, 0.653  0.110, 0.564
  lite0       NME 0.079, PCK 0.752    0.090, 0.685  0.102, 0.592
  The same ResNet-18 with as many parameters in dense layers
  (configs/regressor_faces.py) has NME 0.155.
"""

from jaxseg import defaults, naming

# The encoder, and the weights that it starts from.
VARIANTS = {
  "resnet18": ("resnet18", None),
  "lite0": ("efficientnet_lite0", "efficientnet_lite0"),
}


def get_config(variant="resnet18"):
  """See the module; `variant` is one of VARIANTS."""
  encoder, weights = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c = defaults.get_config()
  c.epochs = 40.0
  c.data.name = "faces"
  c.data.size = (128, 128)
  c.data.batch_size = 16
  c.data.augment = "rotate(20)|random_scale(0.8, 1.2)|resize|flip|photometric"
  c.data.eval = "resize"
  c.task.name = "keypoints"
  c.task.method = "heatmap"
  c.task.decode = "soft"
  c.task.alpha = 0.1
  c.model.name = "simple_baseline"
  c.model.encoder.name = encoder
  c.model.encoder.weights = weights
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
