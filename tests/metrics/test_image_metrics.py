"""PSNR and SSIM against scikit-image; the colour AuC against its thresholds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import color as reference_color
from skimage import metrics as reference

from jaxseg.metrics import chroma as chroma_metric
from jaxseg.metrics import image as image_metric
from jaxseg.metrics.chroma import CELLS, cell, nearness
from jaxseg.metrics.image import WINDOWS, psnr
from jaxseg.metrics.image import ssim as eager_ssim
from tests import quick

ssim = quick.jit(eager_ssim, static_argnums=2)

WANG = {
  "gaussian_weights": True,
  "sigma": 1.5,
  "use_sample_covariance": False,
}
OPTIONS = {"gaussian": WANG, "uniform": {"win_size": 7}}


def pictures(n=3, size=(40, 52), noise=0.1):
  """(smooth truth, noisy prediction), float32 in about [0, 1]."""
  rng = np.random.default_rng(0)
  y, x = np.mgrid[: size[0], : size[1]]
  waves = [
    0.5 + 0.4 * np.sin(x / (3 + i) + c) * np.cos(y / (2 + c))
    for i in range(n)
    for c in range(3)
  ]
  true = np.stack(waves, -1).reshape(*size, n, 3).transpose(2, 0, 1, 3)
  said = true + noise * rng.normal(size=true.shape)
  return true.astype(np.float32), said.astype(np.float32)


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_ssim_of_each_image_is_scikit_images(window, noise):
  true, said = pictures(noise=noise)
  got = ssim(said, true, window)
  want = [
    reference.structural_similarity(
      a, b, channel_axis=-1, data_range=1.0, **OPTIONS[window]
    )
    for a, b in zip(true, said)
  ]
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_ssim_of_flat_images_by_its_formula():
  """Without variance only the luminance term is left."""
  a, b = np.full((1, 20, 20, 3), 0.25), np.full((1, 20, 20, 3), 0.75)
  c1 = 1e-4
  want = (2 * 0.25 * 0.75 + c1) / (0.25**2 + 0.75**2 + c1)
  for window in WINDOWS:
    np.testing.assert_allclose(ssim(a, b, window), want, rtol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (4, 30), (10, 10)])
def test_small_images_have_a_score_too(size):
  true, said = pictures(size=size)
  assert (np.abs(ssim(true, true, "gaussian") - 1) < 1e-5).all()
  assert (ssim(said, true, "gaussian") < 1).all()
  with pytest.raises(ValueError, match="window='box'"):
    ssim(said, true, "box")


def test_psnr_is_scikit_images_and_finite_for_equal_images():
  true, said = pictures()
  want = [
    reference.peak_signal_noise_ratio(a, b, data_range=1.0)
    for a, b in zip(true, said)
  ]
  np.testing.assert_allclose(psnr(said, true), want, rtol=1e-5)
  np.testing.assert_allclose(psnr(true, true), 100.0)
  np.testing.assert_allclose(psnr(true + 0.1, true), 20.0, rtol=1e-5)


def measure(metric, pred, batch):
  state = quick.jit(metric.update)(metric.init(), pred, batch)
  return metric.result(jax.device_get(state))


def test_the_mean_is_over_images_whatever_the_batches():
  true, said = pictures(n=4)
  said[0] = true[0] + 0.5 * (said[0] - true[0])
  noisy = true + 0.2
  metric = image_metric(before="noisy")
  whole = measure(metric, {"image": said}, {"image": true, "noisy": noisy})
  want = np.mean([psnr(said[i : i + 1], true[i : i + 1]) for i in range(4)])
  np.testing.assert_allclose(whole["psnr"], want, rtol=1e-6)
  gain = want - 20 * np.log10(5)
  np.testing.assert_allclose(whole["psnr_gain"], gain, rtol=1e-4)

  state, update = metric.init(), quick.jit(metric.update)
  for rows in (slice(0, 3), slice(3, 4)):
    pad = [(0, 3 - len(true[rows])), (0, 0), (0, 0), (0, 0)]
    fill = {"constant_values": np.nan}  # padding holds anything
    batch = {
      "image": np.pad(true[rows], pad, **fill),
      "noisy": np.pad(noisy[rows], pad, **fill),
      "_mask": np.arange(3) < len(true[rows]),
    }
    pred = {"image": np.pad(said[rows], pad, **fill)}
    state = update(state, pred, batch)
  parts = metric.result(jax.device_get(state))
  for name in whole:
    np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6)


def test_no_image_no_score():
  for metric in (image_metric(), chroma_metric()):
    true, said = pictures(n=2)
    batch = {"image": true, "_mask": np.zeros(2, bool)}
    assert np.isnan(
      list(measure(metric, {"image": said}, batch).values())
    ).all()


def area(true, said, weights):
  """The definition: shares below many thresholds, summed up."""
  distance = np.linalg.norm(true - said, axis=-1)
  thresholds = (np.arange(15000) + 0.5) / 100  # the middles of 0 .. 150
  order = np.argsort(distance)
  below = np.concatenate([[0], np.cumsum(weights[order])])
  at = np.searchsorted(distance[order], thresholds)
  return np.mean(below[at]) / weights.sum()


def test_auc_is_the_area_under_the_shares_below_a_threshold():
  rng = np.random.default_rng(0)
  true = rng.random((2, 16, 16, 3)).astype(np.float32)
  true[:, :8] = true[:, :8].mean(-1, keepdims=True)  # much grey
  said = np.clip(true + 0.3 * rng.normal(size=true.shape), 0, 1)
  said[:, :8] = true[:, :8]  # and that is found
  said = said.astype(np.float32)
  got = measure(chroma_metric(), {"image": said}, {"image": true})
  a, b = (
    reference_color.rgb2lab(x)[..., 1:].reshape(-1, 2) for x in (true, said)
  )
  np.testing.assert_allclose(got["auc"], area(a, b, np.ones(len(a))), atol=1e-4)
  cells, index, count = np.unique(
    np.rint(a / 10), axis=0, return_inverse=True, return_counts=True
  )
  assert len(cells) > 20
  want = area(a, b, 1 / count[index.reshape(-1)])
  np.testing.assert_allclose(got["auc_rebalanced"], want, atol=1e-4)
  assert abs(got["auc"] - got["auc_rebalanced"]) > 0.01


def test_auc_of_a_constant_error():
  near = nearness(jnp.array([[30.0, 40.0]]), jnp.zeros((1, 2)))
  np.testing.assert_allclose(near, 1 - 50 / 150)
  near = nearness(jnp.array([[300.0, 40.0]]), jnp.zeros((1, 2)))
  np.testing.assert_allclose(near, 0)


def test_cells_tell_all_colours_apart():
  ab = np.stack(np.meshgrid(np.arange(-110, 111, 10), np.arange(-110, 111, 10)))
  cells = np.asarray(cell(ab.reshape(2, -1).T))
  assert sorted(cells) == list(range(CELLS))
