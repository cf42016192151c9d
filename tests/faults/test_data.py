"""The data is unplugged: one sentence; plugged in again, the run goes on."""

import os
import shutil
import signal

import pytest

from tests import watch
from tests.faults import runs

pytestmark = pytest.mark.slow


def test_folders_unplugged(server, data, whole, tmp_path):
  """In the middle of the run, and before it is started again."""
  workdir = tmp_path / "run"
  place, away = tmp_path / "data", tmp_path / "away"
  shutil.copytree(data, place)
  argv = runs.flags(place, workdir)
  job = server.start(argv, **runs.ENV)
  runs.stop_when(job, lambda: watch.lines(workdir) >= 1)
  place.rename(away)
  os.kill(job.pid, signal.SIGCONT)
  runs.check_refused(
    job, place, "cannot be read any more", "Bring the data back"
  )
  assert max(watch.saved(workdir)) < runs.STEPS
  runs.check_refused(
    server.run(argv, **runs.ENV), f"config.data.images = '{place}/images'"
  )
  # One file alone is missing: it is named, by whoever comes to it.
  shutil.copytree(away, place)
  (place / "masks" / "03.png").unlink()
  runs.check_refused(server.run(argv, **runs.ENV), place / "images/03.png")
  shutil.rmtree(place)
  away.rename(place)
  status, _, err = server.run(argv, **runs.ENV)
  assert status == 0, err
  runs.check_same_run(workdir, whole)


def scenes(data_dir, workdir):
  return [
    "--config=configs/unet_scenes.py",
    f"--workdir={workdir}",
    *(
      f"--config.{key}={value}"
      for key, value in {
        "audit": False,
        "tensorboard": False,
        "log_every": 2,
        "steps": 12,
        "eval.every": 6,
        "eval.limit": 4,
        "checkpoint.every": 2,
        "data.data_dir": data_dir,
        "data.size": "32,32",
        "data.augment": "resize|flip",
        "data.eval": "resize",
        "data.batch_size": 4,
        "data.threads": 1,
        "model.width": 2,
        "model.depth": 1,
      }.items()
    ),
  ]


def test_records_unplugged(server, records, tmp_path):
  """Files that are open survive a renaming; so they lose their bytes here."""
  place, away = tmp_path / "data", records
  shutil.copytree(away, place)
  whole, workdir = tmp_path / "whole", tmp_path / "run"
  status, _, err = server.run(scenes(place, whole))
  assert status == 0, err
  argv = scenes(place, workdir)
  job = server.start(argv)
  runs.stop_when(job, lambda: watch.saved(workdir))
  for path in place.rglob("*.array_record*"):
    path.write_bytes(b"")
  os.kill(job.pid, signal.SIGCONT)
  runs.check_refused(
    job, "jaxseg_scenes", "cannot be read", "Bring the file back"
  )
  runs.check_refused(server.run(argv), "array_record", "prepare")
  # The embedded data set would be made anew: others are asked for.
  shutil.rmtree(place / "jaxseg_scenes/stills/1.0.0")
  shutil.copytree(
    away / "jaxseg_scenes/stills/1.0.0", place / "jaxseg_scenes/stills/1.0.0"
  )
  status, _, err = server.run(argv)
  assert status == 0, err
  runs.check_same_run(workdir, whole, 12)
