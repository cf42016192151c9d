"""Parameters of the shipped configs, from published counts and by hand."""

import itertools


def unet_count(width, classes, depth=4):
  """U-Net with BatchNorm: 3x3 convolutions without bias, 2x2 up with one."""

  def double(a, b):
    return 9 * a * b + 9 * b * b + 2 * 2 * b

  c = [width * 2**i for i in range(depth + 1)]
  down = double(3, c[0]) + sum(double(c[i], c[i + 1]) for i in range(depth))
  up = sum(
    4 * c[i + 1] * c[i] + c[i] + double(2 * c[i], c[i]) for i in range(depth)
  )
  return down + up + c[0] * classes + classes


def context_count(classes, widths):
  """3x3 convolutions of these multiples of the classes, then 1x1 to them."""
  c = [classes, *(classes * w for w in widths)]
  dilated = sum(9 * a * b + b for a, b in itertools.pairwise(c))
  return dilated + c[-1] * classes + classes


def linknet_count(maps, width=32):
  """Of a decoder on maps of these channels, deepest first, smp's layers."""
  total = 0
  for a, b in itertools.pairwise([*maps, width]):
    inside = a // 4
    total += a * inside + 16 * inside**2 + inside + inside * b
    total += 2 * (inside + inside + b)  # norms; the 4x4 has a bias as well
  return total


LITE0 = 2_958_848  # EfficientNet-Lite0's maps, of these channels:
LITE0_MAPS = (320, 112, 40, 24, 32)  # the last is the stem
RESNET18 = 11_176_512  # without its classifier


def simple_baseline_count(points, channels=512):
  """The decoder: three 4x4 kernels with norms, then 1x1 to the points."""
  up = 16 * channels * 256 + 512 + 2 * (16 * 256 * 256 + 512)
  return up + 257 * points


def eigen_stack(channels, hidden, first=64):
  """5x5 convolutions: `hidden` to 64 channels, and the last one."""
  inside = (25 * first + 1) * 64 + (hidden - 1) * (25 * 64 + 1) * 64
  return inside + (25 * 64 + 1) * channels


# Depth alone.
EIGEN = 217_974_446 - eigen_stack(3, 3, 64 + 96) - eigen_stack(3, 2)


# Parameters, as the header of the config has them. Those that are published
# for 21 classes lose the difference in the layers that see the classes.
FRONT_END = 134_305_611  # FCN-32s and dilated VGG, 11 classes
COUNTS = {
  # Of 313 colours the head has 256 + 1 numbers each; ours are 261.
  "colorize_scenes:published": 32_235_385 - (313 - 261) * (256 + 1),
  "deconvnet_pets": 251_805_653 - (21 - 3) * (64 + 1),
  # Head on 256 channels, auxiliary head on 10.
  "deeplabv3_mobilenet_v3_large_cityscapes": 11_029_328 - 2 * (257 + 11),
  "deeplabv3_resnet50_cityscapes": 42_004_074 - 2 * (257 + 257),
  "deeplabv3plus_xception65_cityscapes": 41_054_899,
  "dilated_vgg_camvid": FRONT_END,
  "dilated_vgg_context_camvid:basic": FRONT_END + context_count(11, [1] * 7),
  "dilated_vgg_context_camvid:large": FRONT_END
  + context_count(11, [2, 2, 4, 8, 16, 32, 32]),
  # The paper's with heads of depth and normals; without the latter's stacks,
  # without scale 3 of depth and its 9x9 as well.
  "eigen_nyu:coarse": EIGEN - eigen_stack(1, 2) - (9 * 9 * 3 + 1) * 64,
  "eigen_nyu:fine": EIGEN,
  "fcn16s_cityscapes": 134_348_134,
  "fcn32s_cityscapes": 134_338_387,
  "fcn8s_cityscapes": 134_353_017,
  # ResNet-18, 1x1 scores, a dense transposed convolution of 64 x 64.
  "fcn_d2l_camvid": RESNET18 + 513 * 11 + 64 * 64 * 11 * 11 + 11,
  "fcn_resnet50_cityscapes": 35_322_218 - 2 * (513 + 257),
  "hed_bsds": 14_716_171,
  "keypoints_lsp": RESNET18 + simple_baseline_count(14),
  "linknet_camvid": 11_535_659,
  "m4depth_scenes": 4_492_238,
  "m4depth_seven_scenes": 4_492_238,
  # Scores of 40 and of 128 channels.
  "lraspp_mobilenet_v3_large_cityscapes": 3_221_538 - 2 * (41 + 129),
  # 8 scores, a depth and a direction of 3, of 32 channels each.
  "multi_scenes:multi": LITE0 + 3 * linknet_count(LITE0_MAPS) + 33 * 12,
  "multi_scenes:semantic": LITE0 + linknet_count(LITE0_MAPS) + 33 * 8,
  "multi_scenes:depth": LITE0 + linknet_count(LITE0_MAPS) + 33,
  "multi_scenes:normals": LITE0 + linknet_count(LITE0_MAPS) + 33 * 3,
  "pspnet_resnet50_cityscapes": 49_080_038,
  # 512 channels on a grid of 4x4, 506 hidden, x and y of 68 points.
  "regressor_faces": RESNET18 + (16 * 512 + 2) * 506 + 507 * 136,
  "segnet_basic_camvid": 1_416_587,
  "segnet_camvid": 29_449_355,
  "simple_baseline_faces:resnet18": RESNET18 + simple_baseline_count(68),
  "simple_baseline_faces:lite0": LITE0 + simple_baseline_count(68, 320),
  "unet_camvid": unet_count(16, 11),
  # torchvision's 3,504,872 without classifier, head and the last norm; and
  # what Keras trains.
  "unet_mobilenet_v2_pets": 3_504_872
  - (1281 * 1000 + 1280 * 322 + 640)
  + 4_660_323,
  "unet_pets": unet_count(16, 3, 5),  # 7,778,643
  "unet_pets_34m": 34_513_475,
  "unet_scenes": unet_count(16, 8),
  "unet_scenes_depth": unet_count(16, 1),
  "unet_scenes_depth_bins": unet_count(16, 64),
  "unet_scenes_depth_ordinal": unet_count(16, 2 * 64),
  "unet_scenes_normals": unet_count(16, 3),
}
