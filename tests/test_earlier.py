"""Weights of an earlier run: read back, averaged, damaged, in another net."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import checkpoint, defaults, earlier, networks
from jaxseg.state import create_state
from jaxseg.types import UserError
from jaxseg.weights import merge
from tests import tiny


def make(name="unet", **fields):
  """(config, model) with one head of depth."""
  config = defaults.get_config()
  config.model.name = name
  config.model.update(fields)
  task = types.SimpleNamespace(outputs={"depth": 1})
  return config, networks.make_model(config, task)


def state_of(model, seed, ema=False, size=(16, 16)):
  image = np.zeros((1, *size, 3), np.float32)
  shapes = jax.eval_shape(
    lambda: create_state(
      model, optax.adam(1e-3), (image,), jax.random.key(0), ema
    )
  )
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda s: jnp.asarray(rng.random(s.shape) * 9, s.dtype), shapes
  )


def save(workdir, state, step, kind="latest"):
  held = checkpoint.Checkpoints(workdir, {"any": 1})
  state = state.replace(step=jnp.int32(step))
  held.save(state, kind=kind, position={}, metrics={"miou": 0.5})
  held.close()


@pytest.mark.parametrize("ema", [False, True])
def test_the_best_is_read_else_the_latest(tmp_path, ema):
  _, model = make(width=2, depth=1, norm="batch")
  first, second = (state_of(model, seed, ema) for seed in (0, 1))
  save(tmp_path, first, 3)
  arrays, path = earlier.variables(tmp_path)
  assert path == tmp_path / "checkpoints/latest/3"
  want = merge.flatten(jax.device_get(first.variables()))
  assert arrays.keys() == want.keys()
  assert any(name.startswith("batch_stats/") for name in want)
  for name, array in want.items():
    np.testing.assert_array_equal(arrays[name], array, err_msg=name)
  save(tmp_path, second, 2, "best")
  arrays, path = earlier.variables(tmp_path)
  assert path == tmp_path / "checkpoints/best/2"
  for name, array in merge.flatten(second.variables()).items():
    np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_a_damaged_one_is_passed_over(tmp_path):
  _, model = make(width=2, depth=1)
  save(tmp_path, state_of(model, 0), 3)
  save(tmp_path, state_of(model, 1), 5)
  files = (tmp_path / "checkpoints/latest/5/state").rglob("*")
  largest = max(
    (f for f in files if f.is_file()), key=lambda f: f.stat().st_size
  )
  largest.write_bytes(largest.read_bytes()[:-40])
  assert earlier.variables(tmp_path)[1].name == "3"
  assert (tmp_path / "checkpoints/latest/5").is_dir()  # it is not ours to move


def test_a_folder_that_is_no_run(tmp_path):
  with pytest.raises(UserError, match="folder without a checkpoint that is"):
    earlier.variables(tmp_path)


def test_the_second_phase_of_eigen_starts_from_the_first(tmp_path):
  """Scales 1 and 2 are the run's; what is named missing is untrained."""
  fields = {k: v for k, v in tiny.TINY["eigen"].items() if k != "encoder"}
  fields["encoder"] = {"name": "resnet18"}
  _, two = make("eigen", scales=2, **fields)
  first = state_of(two, 0, size=(48, 64))
  save(tmp_path, first, 3)
  weights = {"weights": str(tmp_path), **fields}
  config, three = make("eigen", **weights)
  fresh = state_of(three, 1, size=(48, 64)).variables()
  with pytest.raises(UserError, match=r"- params/fine_depth/"):
    networks.make_pretrained(config, three)(fresh)
  names = ("image3", "fine_depth")
  config, three = make("eigen", missing=names, **weights)
  new, note = networks.make_pretrained(config, three)(fresh)
  assert str(tmp_path) in note
  learned = merge.flatten(first.variables())
  kept = 0
  for path, array in merge.flatten(new).items():
    mine = path.split("/")[1] in names
    kept += mine
    source = merge.flatten(fresh) if mine else learned
    np.testing.assert_array_equal(array, source[path], err_msg=path)
  assert kept == 2 + 2 * 3  # 9x9; two hidden 5x5, and the last
  config, three = make("eigen", missing=names, **fields)
  with pytest.raises(UserError, match=r"missing = .* is not set"):
    networks.make_pretrained(config, three)
