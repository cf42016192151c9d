"""FCN: exact parameter counts, upsampling path, scales, crop arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import types
from jaxseg.models import MODELS, fcn
from jaxseg.ops import conv
from tests import probe, quick

VGG_CONVS = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256)]
VGG_CONVS += [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 5


def formula(stride, classes, learned=False):
  """VGG's convolutions, fc6 as 7x7, fc7, and one 1x1 score a level."""
  total = sum(9 * i * o + o for i, o in VGG_CONVS)
  total += 49 * 512 * 4096 + 4096 + 4096 * 4096 + 4096
  for channels in {32: [4096], 16: [4096, 512], 8: [4096, 512, 256]}[stride]:
    total += channels * classes + classes
  ups = {32: 0, 16: 1, 8: 2}[stride]
  return total + (ups * 16 * classes**2 if learned else 0)


COUNTS = [
  (3, 134_272_835, 134_274_374, 134_275_145),
  (11, 134_305_611, 134_311_254, 134_314_081),
  (19, 134_338_387, 134_348_134, 134_353_017),
  (21, 134_346_581, 134_357_354, 134_362_751),
  (60, 134_506_364, 134_537_144, 134_552_564),
]


@pytest.mark.parametrize("row", COUNTS)
def test_counts(row):
  classes, *wants = row
  for stride, want in zip((32, 16, 8), wants):
    assert formula(stride, classes) == want
    model = MODELS[f"fcn{stride}s"](outputs={"logits": classes})
    assert probe.parameters(model) == want


def test_counts_with_learned_upscores():
  """The dense final kernels of other versions: 64^2, 32^2, 16^2 times 21^2."""
  for stride, dense in ((32, 136_152_917), (16, 134_815_994), (8, 134_489_759)):
    assert formula(stride, 21, True) + (2 * stride) ** 2 * 21**2 == dense
  model = MODELS["fcn8s"](outputs={"logits": 21}, learned_upscore=True)
  assert probe.parameters(model) == formula(8, 21, True)


def ceil_half(n, times):
  for _ in range(times):
    n = -(-n // 2)
  return n


def test_the_crops_fit_any_size():
  for n in range(1, 700):
    maps = {k: ceil_half(n + 198, k) for k in (3, 4, 5)}
    x = maps[5] - 6
    assert 19 + n <= 32 * (x + 1)
    x = 2 * x + 2
    assert x + 5 <= maps[4]
    assert 27 + n <= 16 * (x + 1)
    x = 2 * x + 2
    assert x + 9 <= maps[3]
    assert 31 + n <= 8 * (x + 1)


@pytest.mark.parametrize("size", [(1, 2), (32, 45), (225, 100)])
def test_output_has_the_size_of_the_image(size):
  for stride in (32, 16, 8):
    model = MODELS[f"fcn{stride}s"](outputs={"logits": 5})
    assert probe.shapes(model, size)[0]["logits"].shape == (1, *size, 5)


def tiny(random_variables, name, image, **options):
  model = MODELS[name](
    outputs={"logits": 2},
    width=2,
    fc_width=8,
    normalization="none",
    zero_init=False,
    **options,
  )
  variables = random_variables(model, image, seed=1)
  return model, variables


def zeroed(params, *names):
  return {
    k: jax.tree.map(jnp.zeros_like, v) if k in names else v
    for k, v in params.items()
  }


def test_zero_finer_scores_leave_the_upsampled_coarser_score(random_variables):
  """The 8s net with zero pool4 and pool3 scores is 32s, upsampled in steps."""
  image = np.random.default_rng(0).random((1, 40, 33, 3), np.float32)
  fine, variables = tiny(random_variables, "fcn8s", image)
  finer = ("head_logits_pool4", "head_logits_pool3")
  params = zeroed(variables["params"], *finer)
  shared = {k: v for k, v in params.items() if k not in finer}

  @quick.jit
  def run8(params):
    return fine.apply({"params": params}, image, train=False)["logits"]

  coarse = fine.clone(stride=32)
  out32, state = quick.jit(
    lambda p: coarse.apply(
      {"params": p}, image, train=False, capture_intermediates=True
    )
  )(shared)
  score = state["intermediates"]["head_logits"]["__call__"][0]
  up = {k: conv.bilinear_kernel(k, 2) for k in (4, 16, 64)}
  x = conv.conv_transpose(score, up[64], stride=32)
  np.testing.assert_allclose(
    out32["logits"], x[:, 19 : 19 + 40, 19 : 19 + 33], atol=1e-5
  )
  x = conv.conv_transpose(score, up[4], stride=2)
  x = conv.conv_transpose(x, up[4], stride=2)
  x = conv.conv_transpose(x, up[16], stride=8)
  want = x[:, 31 : 31 + 40, 31 : 31 + 33]
  assert np.abs(want).max() > 1e-3
  np.testing.assert_allclose(run8(params), want, atol=1e-5)
  # The finer scores do enter.
  assert np.abs(run8(variables["params"]) - want).max() > 1e-3


def test_learned_upscores_start_as_the_fixed_ones():
  """The initial kernel is the bilinear one, and it is used as such."""
  x = np.random.default_rng(0).random((1, 3, 4, 2), np.float32)
  kernel = fcn._bilinear_init(jax.random.key(0), (4, 4, 2, 2))
  np.testing.assert_allclose(
    conv.conv_transpose(x, kernel, stride=2),
    conv.bilinear_transpose(x, stride=2),
    atol=1e-6,
  )


def test_options_of_the_paper(random_variables):
  """Learned upscores that are bilinear change nothing; 'at once' scales.

  Scaling the input of a linear layer is scaling its kernel.
  """
  image = np.random.default_rng(0).random((1, 33, 40, 3), np.float32)
  plain, variables = tiny(random_variables, "fcn8s", image)
  params = dict(variables["params"])
  shrunk = dict(params)
  for at, factor in (("pool4", 0.01), ("pool3", 0.0001)):
    layer = params[f"head_logits_{at}"]
    kernel = layer["kernel"] * np.float32(factor)
    shrunk[f"head_logits_{at}"] = {**layer, "kernel": kernel}
    params[f"head_logits_up_{at}"] = conv.bilinear_kernel(4, 2)

  @quick.jit
  def run():
    runs = [
      (plain, variables["params"]),
      (plain.clone(learned_upscore=True), params),
      (plain, shrunk),
      (plain.clone(at_once=True), variables["params"]),
    ]
    return [
      model.apply({"params": p}, image, train=False)["logits"]
      for model, p in runs
    ]

  whole, learned, want, at_once = run()
  np.testing.assert_allclose(learned, whole, atol=1e-4)
  np.testing.assert_allclose(at_once, want, atol=1e-4)
  assert np.abs(whole - want).max() > 1e-2


def test_scores_start_at_zero():
  """So the first logits are zero, whatever the encoder holds."""
  shape = (1, 1, 4, 3)
  for zero, want in ((True, 0), (False, 1)):
    layer = fcn.FCN({"logits": 2}, zero_init=zero)
    assert np.any(layer._score_init()(jax.random.key(0), shape)) == want


def test_unknown_stride_is_refused():
  with pytest.raises(types.UserError, match="stride=4"):
    probe.shapes(fcn.FCN({"logits": 2}, stride=4))
