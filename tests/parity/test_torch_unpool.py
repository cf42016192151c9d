"""Unpooling, adaptive pooling, sub-pixel shuffle and LRN against torch; SegNet
and DeconvNet against torch functions that hold the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import deconvnet, segnet
from jaxseg.ops import contrast, conv, pyramid, unpool

pytestmark = pytest.mark.parity


def planes(x):
  import torch

  return torch.tensor(np.asarray(x)).permute(0, 3, 1, 2).requires_grad_()


def back(x):
  return x.detach().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(
  ("k", "s", "p", "ceil", "size"),
  [
    (2, 2, 0, True, (45, 60)),
    (2, 2, 0, False, (45, 60)),
    (3, 3, 1, False, (8, 9)),
    (2, 3, 0, False, (8, 7)),
  ],
)
def test_max_pool_and_unpool_with_gradients(k, s, p, ceil, size):
  """Ties on purpose; 45 x 60 pools to 23 x 30 and comes back."""
  import torch

  rng = np.random.default_rng(0)
  x = rng.integers(1, 5, (2, *size, 3)).astype(np.float32)
  weight = rng.normal(size=x.shape).astype(np.float32)
  tx = planes(x)
  values, indices = torch.nn.functional.max_pool2d(
    tx, k, s, p, ceil_mode=ceil, return_indices=True
  )
  want = torch.nn.MaxUnpool2d(k, s, p)(values, indices, output_size=size)
  (want * planes(weight)).sum().backward()

  def run(x):
    pooled = unpool.max_pool_with_indices(
      x, k, stride=s, padding=p, ceil_mode=ceil
    )
    y = unpool.max_unpool(*pooled, size, stride=s, padding=p)
    return jnp.sum(y * weight), (y, *pooled)

  grad, got = jax.jit(jax.grad(run, has_aux=True))(x)
  np.testing.assert_array_equal(got[2], back(indices))
  np.testing.assert_array_equal(got[1], back(values))
  np.testing.assert_array_equal(got[0], back(want))
  np.testing.assert_array_equal(grad, back(tx.grad))


@pytest.mark.parametrize("bins", [4, (3, 5), 1])
def test_adaptive_max_pool_with_gradient(bins):
  import torch

  x = np.random.default_rng(0).normal(size=(2, 7, 12, 3)).astype(np.float32)
  tx = planes(x)
  want = torch.nn.functional.adaptive_max_pool2d(tx, bins)
  (want**2).sum().backward()

  def run(x):
    y = pyramid.adaptive_max_pool(x, bins)
    return jnp.sum(y**2), y

  grad, got = jax.jit(jax.grad(run, has_aux=True))(x)
  np.testing.assert_array_equal(got, back(want))
  np.testing.assert_allclose(grad, back(tx.grad), rtol=1e-6)


def test_pixel_shuffle_reads_the_factor_last():
  import torch

  x = np.random.default_rng(0).normal(size=(1, 3, 4, 18)).astype(np.float32)
  want = back(torch.nn.functional.pixel_shuffle(planes(x), 3))
  # (c, fh, fw) -> (fh, fw, c).
  y = x.reshape(1, 3, 4, 2, 3, 3).transpose(0, 1, 2, 4, 5, 3)
  got = conv.depth_to_space(jnp.asarray(y.reshape(x.shape)), (3, 3))
  np.testing.assert_array_equal(got, want)


def test_local_response_norm():
  import torch

  x = 50 * np.random.default_rng(0).normal(size=(1, 4, 5, 7))
  x = x.astype(np.float32)
  for size in (4, 5):
    want = torch.nn.functional.local_response_norm(planes(x), size)
    got = contrast.local_response_norm(x, size)
    np.testing.assert_allclose(got, back(want), rtol=1e-5)


def make_block(variables):
  """block(x, path, relu=True): a ConvNormAct or a VGG layer in torch."""
  import torch
  from torch.nn import functional as f

  def tensor(x):
    return torch.tensor(np.array(x))

  def apply(x, conv_params, norm_params, stats, relu=True):
    w = tensor(conv_params["kernel"]).permute(3, 2, 0, 1)
    x = f.conv2d(x, w, tensor(conv_params["bias"]), padding=w.shape[-1] // 2)
    return normalize(x, norm_params, stats, relu)

  def normalize(x, norm_params, stats, relu=True):
    x = f.batch_norm(
      x,
      tensor(stats["mean"]),
      tensor(stats["var"]),
      tensor(norm_params["scale"]),
      tensor(norm_params["bias"]),
      eps=1e-5,
    )
    return f.relu(x) if relu else x

  params, stats = variables["params"], variables["batch_stats"]

  def block(x, name, relu=True):
    if name in params:
      p = params[name]
      return apply(x, p["conv"], p["norm"], stats[name]["norm"], relu)
    p, s = params["encoder"], stats["encoder"]
    norm = f"norm{name}"
    return apply(x, p[f"conv{name}"], p[norm], s[norm], relu)

  return block, normalize, tensor


def run_vgg(block, x):
  """Five stages; the last map, and the indices and size of every pooling."""
  from torch.nn import functional as f

  pooled = []
  for stage, depth in enumerate((2, 2, 3, 3, 3), 1):
    for i in range(1, depth + 1):
      x = block(x, f"{stage}_{i}")
    size = x.shape[-2:]
    x, indices = f.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    pooled.append((indices, size))
  return x, pooled


def run_decoder(block, x, pooled, decoder):
  from torch.nn import functional as f

  for stage, widths in zip((5, 4, 3, 2, 1), decoder):
    indices, size = pooled[stage - 1]
    x = f.max_unpool2d(x, indices, 2, output_size=size)
    for i in range(1, len(widths) + 1):
      x = block(x, f"up{stage}_{i}")
  return x


def prepared(image):
  mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  return planes(((image - mean) / std).astype(np.float32)).detach()


def test_segnet(random_variables):
  """45 x 83: odd at several poolings."""
  from torch.nn import functional as f

  model = segnet.SegNet({"logits": 5}, width=4)
  image = np.random.default_rng(0).random((2, 45, 83, 3), np.float32)
  variables = random_variables(model, image)
  block, _, tensor = make_block(variables)
  x, pooled = run_vgg(block, prepared(image))
  x = run_decoder(block, x, pooled, segnet.DECODER)
  head = variables["params"]["head_logits"]
  kernel = tensor(head["kernel"]).permute(3, 2, 0, 1)
  want = back(f.conv2d(x, kernel, tensor(head["bias"]), padding=1))
  got = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)
  assert np.abs(want).max() > 0.1
  np.testing.assert_allclose(got["logits"], want, atol=1e-4)


def test_segnet_basic(random_variables):
  from torch.nn import functional as f

  model = segnet.SegNetBasic({"logits": 5}, width=4)
  image = np.random.default_rng(0).random((2, 45, 30, 3), np.float32)
  variables = random_variables(model, image)
  block, _, tensor = make_block(variables)
  x = planes(255 * image[..., ::-1].copy()).detach()
  x = f.local_response_norm(x, 5)
  pooled = []
  for level in range(1, 5):
    x = block(x, f"down{level}")
    size = x.shape[-2:]
    x, indices = f.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    pooled.append((indices, size))
  for level in range(4, 0, -1):
    indices, size = pooled[level - 1]
    x = f.max_unpool2d(x, indices, 2, output_size=size)
    x = block(x, f"up{level}", relu=False)
  head = variables["params"]["head_logits"]
  kernel = tensor(head["kernel"]).permute(3, 2, 0, 1)
  want = back(f.conv2d(x, kernel, tensor(head["bias"])))
  got = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)
  assert np.abs(want).max() > 0.1
  np.testing.assert_allclose(
    got["logits"], want, atol=1e-4 * np.abs(want).max()
  )


def test_deconvnet(random_variables):
  """224 x 250: a last map of 7 x 8, two vectors, painted over each other."""
  from torch.nn import functional as f

  model = deconvnet.DeconvNet({"logits": 5}, width=4, fc_width=16)
  image = np.random.default_rng(0).random((1, 224, 250, 3), np.float32)
  variables = random_variables(model, image)
  params, stats = variables["params"], variables["batch_stats"]
  block, normalize, tensor = make_block(variables)
  x, pooled = run_vgg(block, prepared(image))
  for name in ("fc6", "fc7"):
    p = params[name]
    kernel = tensor(p["conv"]["kernel"]).permute(3, 2, 0, 1)
    x = f.conv2d(x, kernel, tensor(p["conv"]["bias"]))
    x = normalize(x, p["norm"], stats[name]["norm"])
  assert x.shape[-2:] == (1, 2)
  p = params["fc6_up"]
  kernel = np.array(p["kernel"])[::-1, ::-1].transpose(2, 3, 0, 1).copy()
  x = f.conv_transpose2d(x, tensor(kernel), tensor(p["bias"]))
  x = normalize(x, params["fc6_up_norm"], stats["fc6_up_norm"])
  x = run_decoder(block, x, pooled, deconvnet.DECODER)
  head = params["head_logits"]
  kernel = tensor(head["kernel"]).permute(3, 2, 0, 1)
  want = back(f.conv2d(x, kernel, tensor(head["bias"])))
  got = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)
  assert np.abs(want).max() > 0.1
  np.testing.assert_allclose(got["logits"], want, atol=1e-4)
