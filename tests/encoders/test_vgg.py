"""VGG: exact parameter counts, stages, normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import encoders, types
from tests import probe, quick

SIZES = {
  "vgg16": (2, 2, 3, 3, 3),
  "vgg16_bn": (2, 2, 3, 3, 3),
  "vgg19": (2, 2, 4, 4, 4),
  "vgg19_bn": (2, 2, 4, 4, 4),
}


def features(name):
  total, last = 0, 3
  for depth, width in zip(SIZES[name], (64, 128, 256, 512, 512)):
    for _ in range(depth):
      total += 9 * last * width + width
      total += 2 * width if name.endswith("_bn") else 0
      last = width
  return total


CLASSIFIER = (49 * 512 * 4096 + 4096) + (4096**2 + 4096) + (4096 * 1000 + 1000)


@pytest.mark.parametrize(
  ("name", "want"),
  [
    ("vgg16", 138_357_544),
    ("vgg16_bn", 138_365_992),
    ("vgg19", 143_667_240),
    ("vgg19_bn", 143_678_248),
  ],
)
def test_counts(name, want):
  assert features(name) + CLASSIFIER == want
  encoder = encoders.ENCODERS[name]()
  assert probe.parameters(encoder, 32) == features(name)
  assert probe.parameters(encoders.VGGClassifier(encoder), 224) == want


@pytest.mark.parametrize("size", [(32, 32), (65, 97)])
def test_stages_are_the_maps_before_and_after_the_poolings(size):
  encoder = encoders.ENCODERS["vgg16"](width=2)
  maps, _ = probe.shapes(encoder, size, batch=2)

  def shape(stride, stage):
    width = 2 * min(2 ** (stage - 1), 8)
    return (2, size[0] // 2**stride, size[1] // 2**stride, width)

  want = {f"c{k - 1}": shape(k - 1, k) for k in range(1, 6)}
  want |= {f"p{k}": shape(k, k) for k in range(1, 6)}
  want["c5"] = want["p5"]
  assert {k: v.shape for k, v in maps.items()} == want


def test_normalisation_by_hand():
  image = np.random.default_rng(0).random((2, 3, 4, 3), np.float32)
  got = encoders.normalization.normalize(image, "imagenet")
  want = (image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  np.testing.assert_allclose(got, want, atol=1e-6)
  caffe = encoders.normalization.normalize(image, "caffe")
  np.testing.assert_allclose(
    caffe[..., 0], 255 * image[..., 2] - 104.00699, atol=1e-4
  )
  np.testing.assert_allclose(
    caffe[..., 2], 255 * image[..., 0] - 122.67892, atol=1e-4
  )
  five = np.concatenate([image, image[..., :2]], -1)
  np.testing.assert_array_equal(
    encoders.normalization.normalize(five, "none"), five
  )


def test_normalisation_belongs_to_the_encoder(random_variables):
  """Raw RGB in: Caffe's record equals mean-subtracted BGR without one."""
  image = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
  caffe = encoders.VGG(width=2, normalization="caffe")
  plain = encoders.VGG(width=2, normalization="none")
  variables = random_variables(caffe, image)
  by_hand = 255 * image[..., ::-1] - [104.00699, 116.66877, 122.67892]
  got, want = quick.jit(
    lambda: [
      encoder.apply(variables, x, train=False)["c5"]
      for encoder, x in ((caffe, image), (plain, by_hand.astype("float32")))
    ]
  )()
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_mistakes_are_named():
  with pytest.raises(types.UserError, match="'bytes'"):
    encoders.normalization.normalize(jnp.zeros((1, 2, 2, 3)), "bytes")
  with pytest.raises(types.UserError, match="images have 1 channels"):
    encoders.normalization.normalize(jnp.zeros((1, 2, 2, 1)), "imagenet")
  with pytest.raises(types.UserError, match="16, 19"):
    encoders.VGG(layers=11).init(
      jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False
    )
