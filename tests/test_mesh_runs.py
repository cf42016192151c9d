"""Runs on meshes: told early where they do not fit, continued on others."""

import jax
import numpy as np
import pytest

from jaxseg import build, defaults, train, writers
from jaxseg import mesh as mesh_lib
from jaxseg import run as run_lib
from jaxseg.data import prepare
from jaxseg.types import UserError
from tests import quick, small_runs


def experiment(folder, **changes):
  """A run of seconds on the embedded config and a folder of 12 pictures."""
  values = {
    "log_every": 2,
    "data.size": (32, 32),
    "data.batch_size": 4,
    "data.threads": 1,
    "data.val_fraction": 0.25,
    "model.width": 2,
    "optim.name": "sgd",
    "optim.lr": 0.1,
    "optim.schedule": "constant",
    "eval.every": 100,
    "checkpoint.every": 100,
    **changes,
  }
  return build.experiment(small_runs.config_of(folder, **values))


def test_a_mesh_that_does_not_fit_is_told_before_data_is_made(
  tmp_path, monkeypatch
):
  made = []
  monkeypatch.setattr(prepare, "prepare", lambda *a: made.append(a))
  for key, value, text in (
    ("mesh.space", 3, "space = 3 does not divide"),
    ("mesh.space", 8, "multiple of 64"),
    ("devices", 9, "JAX sees 8"),
    ("data.batch_size", 9, "batch_size = 9 is not divisible"),
  ):
    config = defaults.get_config()
    config.update_from_flattened_dict(
      {"data.data_dir": str(tmp_path), "data.size": (96, 96), "model.depth": 3}
    )
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=text):
      run_lib.train(config, str(tmp_path / "run"))
  assert not made


def test_a_run_goes_on_with_other_devices(data, tmp_path, monkeypatch):
  """4 steps on 2 x 4 devices, the state spread, 2 on a pair; or 6 on one."""
  monkeypatch.setattr(mesh_lib, "SMALL", 16)
  monkeypatch.setattr(jax, "jit", quick.jit)
  console = writers.make_console()
  spread = {"devices": 8, "mesh.space": 4, "mesh.fsdp": True, "steps": 4}
  built = experiment(data, **spread)
  held = built.abstract_state().params["down0_conv2"]["conv"]["kernel"]
  assert held.sharding.shard_shape(held.shape) == (3, 3, 1, 2)
  train.train(built, tmp_path / "a", console)
  pair = experiment(data, devices=2, steps=6)
  state_a, result_a = train.train(pair, tmp_path / "a", console)
  one = experiment(data, devices=1, steps=6)
  state_b, result_b = train.train(one, tmp_path / "b", console)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    mesh_lib.to_host(state_a),
    mesh_lib.to_host(state_b),
  )
  assert result_a.keys() == result_b.keys()
  for name, value in result_a.items():
    np.testing.assert_allclose(value, result_b[name], atol=1e-3, err_msg=name)
  with pytest.raises(UserError, match="33 rows"):
    experiment(data, **{**spread, "data.size": (33, 32)})
