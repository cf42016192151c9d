"""A full disk: one sentence, and after room was made the run goes on.

The disk is a real one, a small tmpfs, which root alone may mount: elsewhere
these tests are skipped.
"""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

from jaxseg import faults
from tests import watch
from tests.faults import runs


@pytest.fixture
def disk(tmp_path):
  """A file system of 4 MB."""
  place = tmp_path / "disk"
  place.mkdir()
  mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
  try:
    subprocess.run(mount, check=True, capture_output=True)
  except (OSError, subprocess.CalledProcessError):
    pytest.skip("mounting a small file system is not allowed here")
  yield place
  subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place, leave=0):
  """Writes until nothing, or only `leave` bytes, fits."""
  path = place / "filler"
  with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
    while True:
      file.write(b"x" * 4096)
  if leave:
    os.truncate(path, path.stat().st_size - leave)


def make_room(place):
  (place / "filler").unlink()


def fill_when(job, place, found):
  """Fills the disk at a moment at which found() is true."""
  runs.stop_when(job, found)
  fill(place)
  os.kill(job.pid, signal.SIGCONT)


@pytest.mark.slow
def test_full_at_any_write(server, data, whole, disk):
  workdir = disk / "run"
  argv = runs.flags(data, workdir)
  # Room for config.json and the like, and for no checkpoint.
  fill(disk, leave=48 << 10)
  job = server.start(argv, **runs.ENV)
  # TensorStore prints that its loops are closed: not ours to silence.
  where = workdir / "checkpoints"
  runs.check_refused(job, where, "No space left", "make room", noise=True)
  assert not watch.saved(workdir)
  make_room(disk)
  # Full when the first save is done: a later one fails.
  job = server.start(argv, **runs.ENV)
  fill_when(job, disk, lambda: watch.saved(workdir))
  runs.check_refused(job, where, "No space left", noise=True)
  held = max(watch.saved(workdir))
  assert f"goes on from step {held}." in job.err
  assert held < runs.STEPS
  make_room(disk)
  # No save is due: lines and events fill what is left of their pages.
  changes = {"checkpoint__every": 1000, "log_every": 1, "tensorboard": True}
  told = watch.lines(workdir)
  job = server.start(runs.flags(data, workdir, **changes), **runs.ENV)
  watch.until(lambda: "training examples" in job.out, [job])
  fill_when(job, disk, lambda: watch.lines(workdir) > told)
  runs.check_refused(job, "No space left", "make room")
  make_room(disk)
  status, out, err = server.run(argv, **runs.ENV)
  assert status == 0, err
  assert f"Going on from step {held} " in out
  runs.check_same_run(workdir, whole)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["predict", "export"])
def test_full_when_results_are_written(server, data, whole, disk, mode):
  argv = [*runs.flags(data, whole), f"--mode={mode}"]
  if mode == "predict":
    argv += [f"--config.predict.out={disk / 'out'}", data / "images"]
    out = disk / "out"
  else:  # into the workdir
    out = disk / "run"
    copied = subprocess.run(["cp", "-r", str(whole), str(out)])
    assert copied.returncode == 0
    argv.append(f"--workdir={out}")
  fill(disk)
  runs.check_refused(server.run(argv), out, "No space left on device")
  make_room(disk)
  status, _, err = server.run(argv)
  assert status == 0, err
  wanted = "*.png" if mode == "predict" else "export/*.stablehlo"
  assert len(list(out.glob(wanted))) == (12 if mode == "predict" else 1)


def test_a_line_that_does_not_fit(tmp_path):
  """The system's own words, wherever in a chain they come up."""
  with pytest.raises(OSError, match="No space") as e:
    pathlib.Path("/dev/full").write_text("x")
  outer = RuntimeError("a save failed")
  outer.__cause__ = ValueError(
    "RESOURCE: No space left on device [os_error=28]"
  )
  for error in (e.value, outer, ExceptionGroup("two", [outer])):
    assert "No space left on device" in faults.sentence(error)
  assert faults.sentence(ValueError("a bug")) == ""
