"""Runs that poison themselves, and places that cannot be written."""

import numpy as np

from tests import cli, watch
from tests.faults import runs


def test_a_loss_that_is_not_finite_stops_the_run(server, data, tmp_path):
  """At such a rate the activations overflow within a few steps."""
  argv = runs.flags(
    data,
    tmp_path,
    optim__name="sgd",
    optim__lr=1e14,
    optim__warmup_steps=20,
    checkpoint__every=1,
  )
  status, _, err = server.run(argv)
  assert status == 2
  assert "Traceback" not in err
  assert err.startswith("error: the loss is not finite at step ")
  for part in ("loss = ", "grad_norm = ", "lr = ", "ids [", "images/"):
    assert part in err, err
  step = int(err.split("at step ")[1].split(":")[0])
  assert max(watch.saved(tmp_path)) == step - 1
  for array in cli.arrays(tmp_path, step - 1).values():
    assert np.isfinite(array).all()


def test_a_workdir_that_cannot_be_written(server, data, tmp_path):
  file = tmp_path / "file"
  file.write_text("")
  status, _, err = server.run(runs.flags(data, file / "run"))
  assert status == 2
  assert err.count("\n") == 1
  assert err.startswith(f"error: --workdir={file / 'run'} cannot be written")
