"""Counts of the paper; a stream is a clip; geometry inside of the network."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.data.scenes import scene, world
from jaxseg.models import domain_norm, m4depth
from jaxseg.models.m4depth import M4Depth
from jaxseg.ops import motion as rigid
from jaxseg.ops import parallax
from jaxseg.state import count
from jaxseg.types import UserError
from tests import quick, tiny

SIZE = (37, 45)
CAMERA = np.float32([40, 40, 22.5, 18.5])
OUT = {"depth": 1}


def clip(b=2, t=4, size=SIZE, seed=0):
  """Random images, a camera that turns a little and moves."""
  rng = np.random.default_rng(seed)
  image = rng.random((b, t, *size, 3), np.float32)
  q = 0.02 * rng.normal(size=(b, t, 4)) + [1, 0, 0, 0]
  motion = rigid.from_quaternion(q, 0.2 * rng.normal(size=(b, t, 3)))
  camera = np.broadcast_to(CAMERA, (b, t, 4))
  return image, camera, np.asarray(motion)


def small(**fields):
  return M4Depth(OUT, **{**tiny.CLIP_TINY["m4depth"], **fields})


@pytest.fixture(scope="module")
def built(random_variables):
  model = small()
  inputs = clip()
  shapes = jax.eval_shape(
    lambda *x: model.init(jax.random.key(0), *x, train=False), *inputs
  )
  rng = np.random.default_rng(0)

  def fill(x):
    fan_in = np.prod(x.shape[:-1])
    return rng.normal(size=x.shape).astype("f4") * np.sqrt(2 / fan_in)

  variables = jax.tree.map(fill, shapes)
  apply = quick.jit(lambda v, *x: model.apply(v, *x, train=True))
  return model, variables, apply


def test_counts_of_the_paper():
  """Two 3x3 per level, a scale and a bias; then seven 3x3 per level."""
  model = M4Depth(OUT)
  params = jax.eval_shape(
    lambda *x: model.init(jax.random.key(0), *x, train=False), *clip(1, 2)
  )["params"]
  assert count(params["encoder"]) == 1_022_192
  assert count(params) == 4_492_238
  for level, channels in enumerate((64, 122, 122, 238, 238, 470), 1):
    # 9 of the sweep and 49 neighbours per sub-vector, two parallaxes, memory.
    assert channels == (9 + 49) * m4depth.cuts(level) + 2 + 4
    refiner = params["decoder"][f"level{level}"]
    assert refiner["conv0"]["kernel"].shape == (3, 3, channels, 128)
    assert refiner["head"]["kernel"].shape == (3, 3, 16, 5)


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 50), (64, 17)])
def test_sizes(size):
  model = small()
  out = jax.eval_shape(
    lambda *x: model.init_with_output(jax.random.key(0), *x, train=True)[0],
    *clip(2, 3, size),
  )
  assert out.pop("depth").shape == (2, 3, *size, 1)
  assert out.keys() == {"aux2", "aux3"}
  for i in (2, 3):
    want = (2, 3, *(-(-n // 2**i) for n in size), 1)
    assert out[f"aux{i}"].shape == want


def test_a_stream_is_a_clip(built):
  """The same parameters frame by frame, with the state outside."""
  model, variables, apply = built
  image, camera, motion = clip()
  whole = apply(variables, image, camera, motion)["depth"]
  start = quick.jit(lambda v, x: model.apply(v, x, method="start"))
  step = quick.jit(lambda v, *x: model.apply(v, *x, method="step"))
  state = start(variables, image[:, 0])
  np.testing.assert_allclose(whole[:, 0], np.log(1000), rtol=1e-6)
  for t in range(1, 4):
    state, out = step(variables, state, image[:, t], camera[:, t], motion[:, t])
    np.testing.assert_allclose(out["depth"], whole[:, t], atol=1e-5, rtol=1e-5)
    assert np.std(out["depth"]) > 1e-2
  # What was before matters: the last frame alone says something else.
  fresh = start(variables, image[:, 2])
  _, other = step(variables, fresh, image[:, 3], camera[:, 3], motion[:, 3])
  assert np.abs(other["depth"] - whole[:, 3]).max() > 1e-3


def test_one_camera_for_all_frames(built):
  _, variables, apply = built
  image, camera, motion = clip()
  a = apply(variables, image, camera, motion)["depth"]
  b = apply(variables, image, camera[:, 0], motion)["depth"]
  np.testing.assert_array_equal(a, b)


def test_examples_do_not_see_each_other(built):
  _, variables, apply = built
  image, camera, motion = clip()
  both = apply(variables, image, camera, motion)["depth"]
  changed = np.stack([image[0], image[1][:, ::-1]])
  other = apply(variables, changed, camera, motion)["depth"]
  np.testing.assert_allclose(both[0], other[0], atol=1e-5)
  assert np.abs(both[1] - other[1]).max() > 1e-3


@pytest.mark.slow
def test_every_parameter_gets_a_gradient(built):
  model, variables, _ = built
  inputs = clip()

  def loss(params):
    out = model.apply({"params": params}, *inputs, train=True)
    return sum(jnp.mean(jnp.abs(x[:, 1:] - 1.3)) for x in out.values())

  for path, g in jax.tree_util.tree_leaves_with_path(
    quick.jit(jax.grad(loss))(variables["params"])
  ):
    name = jax.tree_util.keystr(path)
    assert np.isfinite(g).all(), name
    assert np.abs(g).max() > 0, name


def test_brightness_and_contrast_do_not_matter():
  """Domain-invariant: the first norm forgets them, up to the border."""
  norm = domain_norm.DomainNorm()
  x = np.random.default_rng(0).normal(size=(2, 9, 8, 6)).astype("f4")
  params = norm.init(jax.random.key(0), x)
  a = norm.apply(params, x)
  gain = np.float32([1, 3, 0.5, 2, 4, 0.2])
  np.testing.assert_allclose(norm.apply(params, gain * x + 7), a, atol=2e-3)
  np.testing.assert_allclose(np.linalg.norm(a, axis=-1), 1, atol=1e-5)


def test_codes_are_logarithms_of_one_length():
  """8 pixels of the image are 0 on every level."""
  rho = np.float32([0.02, 0.5, 8, 300])
  for level in range(1, 7):
    code = m4depth.to_code(rho / 2**level, level)
    np.testing.assert_allclose(code, np.log(rho / 8), atol=1e-5)
    back = m4depth.from_code(code, level)
    np.testing.assert_allclose(back, rho / 2**level, rtol=1e-5)
  assert m4depth.to_code(np.float32(0), 3) == -7


def test_depth_of_the_true_parallax_is_the_true_depth():
  rng = np.random.default_rng(1)
  depth = rng.uniform(2, 50, (3, *SIZE)).astype("f4")
  _, camera, motion = clip(3, 2)
  line = parallax.lines(camera[:, 1], motion[:, 1], SIZE)
  rho, defined = parallax.depth_to_parallax(depth, camera[:, 1], motion[:, 1])
  inverse = m4depth.inverse_depth(line, rho, jnp.full(depth.shape, 1e-3))
  use = np.asarray(defined)
  assert use.mean() > 0.9
  np.testing.assert_allclose((1 / inverse)[use], depth[use], rtol=1e-4)


def test_too_much_parallax_still_has_a_gradient():
  """The point would lie between the cameras, or behind this one."""
  motion = np.eye(4, dtype="f4")
  motion[:3, 3] = [0.1, 0, 1]
  line = parallax.lines(CAMERA, motion, SIZE)

  def log_depth(code):
    rho = jnp.exp(code) * jnp.ones(SIZE)
    return -jnp.log(m4depth.inverse_depth(line, rho, jnp.ones(SIZE))).mean()

  value, slope = jax.value_and_grad(log_depth)(5.0)
  assert np.isfinite(value)
  assert slope < -0.5


@pytest.mark.slow
def test_a_turn_keeps_the_depth_that_was_known(built):
  """No parallax: the previous depth moves with the picture."""
  model, variables, _ = built
  image, camera, _ = clip()
  start = model.apply(variables, image[:, 0], method="start")
  known = jax.tree.map(lambda x: jnp.full_like(x, 1 / 5.0), start.inverse)
  state = start.replace(inverse=known)
  turn = np.asarray(rigid.from_quaternion([1, 0.01, 0.02, -0.01]))
  motion = np.stack([np.eye(4, dtype="f4"), turn])
  step = quick.jit(lambda v, *x: model.apply(v, *x, method="step"))
  new, out = step(variables, state, image[:, 1], camera[:, 1], motion)
  # A plane of z' = 5 from the previous camera, where that saw it.
  for i in range(2):
    for level, inverse in enumerate(new.inverse, 1):
      line = parallax.lines(CAMERA / 2**level, motion[i], inverse.shape[1:])
      far, (h, w) = np.asarray(line.far), inverse.shape[1:]
      seen = (far > 0.51) & (far < np.array([w, h]) - 0.51)
      seen = seen.all(-1)
      want = np.where(seen, 5 / np.asarray(line.turn), 0)
      got = np.where(seen, 1 / np.asarray(inverse[i]), 0)
      np.testing.assert_allclose(got, want, rtol=1e-4)
  np.testing.assert_allclose(np.exp(out["depth"][0]), 5, rtol=1e-4)


def test_previous_depth_is_reprojected_on_scenes():
  """At the true parallax the previous truth says this parallax."""
  errors = []
  for seed in (3, 4, 11, 31):
    w = dataclasses.replace(world.make_world(seed), noise=0.0)
    old, now = (scene.frame(w, t, (96, 128), seed) for t in (0, 1))
    moving = np.isin(now["instance"], list(w.moving))
    line, rho, defined = _truth(now)
    inverse = np.where(old["depth"] > 0, 1 / np.maximum(old["depth"], 0.1), 0)
    decoder = m4depth.Decoder((4,), 4, 4, 3, "float32")
    before = decoder.apply(
      {}, line, rho[None], jnp.asarray(inverse)[None], method="_before"
    )
    said = np.asarray(before * line.size)[0]
    use = np.asarray(defined) & ~moving & (now["depth"] > 0)
    said, rho = said[use], np.asarray(rho)[use]
    error = np.abs(np.log(np.maximum(said, 1e-6) / rho))
    errors.append(np.median(error))
    assert np.mean(error < 0.02) > 0.8  # the rest: borders and occlusions
    # The previous depth of the same pixel, not of the same point, is wrong.
    same = (inverse * np.asarray(line.size[0]))[use]
    wrong = np.abs(np.log(np.maximum(same, 1e-6) / rho))
    assert np.median(wrong) > 3 * np.median(error)
  assert max(errors) < 2e-3


def _truth(now):
  camera, motion = now["camera"][None], now["motion"][None]
  line = parallax.lines(camera, motion, now["depth"].shape)
  rho, defined = parallax.depth_to_parallax(now["depth"][None], camera, motion)
  return line, rho[0], defined[0]


def test_half_precision_keeps_parameters_and_depth(built):
  _, variables, apply = built
  half = small(dtype="bfloat16")
  inputs = clip()
  out = quick.jit(lambda v, *x: half.apply(v, *x, train=False))(
    variables, *inputs
  )["depth"]
  assert out.dtype == jnp.float32
  want = apply(variables, *inputs)["depth"]
  difference = np.abs(out - want)
  assert 0 < np.median(difference) < 0.1


def test_what_it_refuses():
  init = functools.partial(small().init, jax.random.key(0), train=False)
  image, camera, motion = clip()
  with pytest.raises(UserError, match="t of at least 2"):
    init(image[:, :1], camera[:, :1], motion[:, :1])
  with pytest.raises(UserError, match="t of at least 2"):
    init(image[:, 0], camera[:, 0], motion[:, 0])
  with pytest.raises(UserError, match="video_depth"):
    M4Depth({"logits": 3})
