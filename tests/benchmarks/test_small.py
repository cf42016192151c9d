"""The benchmarks at their small sizes: they run, and the files hold figures."""

import json
import subprocess
import sys

import pytest

from tests import cli


def run(tmp_path, name, *flags):
  """The JSON that `python -m benchmarks.NAME` wrote."""
  out = tmp_path / f"{name}.json"
  done = subprocess.run(
    [sys.executable, "-m", f"benchmarks.{name}", f"--out={out}", *flags],
    cwd=cli.ROOT,
    env=cli.environment(JAX_COMPILATION_CACHE_DIR=tmp_path / "compiled"),
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(out.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("views", [(), ("--views",)], ids=["", "views"])
def test_evaluate(tmp_path, views):
  found = run(tmp_path, "evaluate", "--small", "--rounds=2", *views)
  assert found["views"] == bool(views)
  (figures,) = found["networks"].values()
  assert figures["examples"] == 12
  assert len(figures["seconds"]["bare"]) == 2
  assert 0 < figures["ratio"] < 2


@pytest.mark.slow
def test_step(tmp_path):
  """Beside XLA alone, and PyTorch if it is here."""
  found = run(tmp_path, "step", "--networks=unet_w16", "--rounds=2")
  network = found["networks"]["unet_w16"]
  assert set(network["parameters"].values()) == {1_942_611}
  for mode in ("forward", "step"):
    seconds = network[mode]["seconds"]
    assert {"jaxseg"} <= set(seconds) <= {"jaxseg", "xla", "torch"}
    assert all(0.001 < s < 10 for s in seconds.values())
    assert set(network[mode]["places"]) <= {"near", "far", ""}
    assert ("ratio" in network[mode]) == ("torch" in seconds)


@pytest.mark.slow
def test_memory(tmp_path):
  found = run(
    tmp_path,
    "memory",
    "--small",
    "--networks=deeplabv3plus_resnet18",
    "--variants=plain;not donated;fused",
  )
  rows = found["networks"]["deeplabv3plus_resnet18"]["variants"]
  assert rows["fused"]["temporary"] < rows["plain"]["temporary"]
  assert rows["not donated"]["all"] > rows["plain"]["all"]


@pytest.mark.slow
def test_mesh(tmp_path):
  flags = "--networks=unet_w16", "--spaces=1,2", "--size=64"
  one, two, each, spread = run(tmp_path, "mesh", *flags)["rows"]
  assert one["collectives"] == {}
  assert "collective-permute" in two["collectives"]
  assert "all-gather" not in two["collectives"]
  assert two["temporary_bytes"] < one["temporary_bytes"]
  assert spread["argument_bytes"] < each["argument_bytes"] / 6


@pytest.mark.slow
def test_scaling(tmp_path):
  flags = "--network=unet_w16", "--size=64", "--devices=8,16", "--ways=data"
  rows = run(tmp_path, "scaling", *flags)["rows"]
  for row, n in zip(rows, (8, 16), strict=True):
    assert row["devices"] == n
    gradients = 2 * (n - 1) / n * row["parameter_bytes"]
    assert row["gradient_bytes"] == pytest.approx(gradients)
    assert gradients <= row["sent_bytes"] < 1.01 * gradients


@pytest.mark.slow
def test_input(tmp_path):
  found = run(tmp_path, "input", "--images=48", "--seconds=0.5")
  speed = found["images_per_second"]
  assert {"jaxseg", "cached"} <= set(speed)
  assert all(len(rounds) == 3 and min(rounds) > 0 for rounds in speed.values())


@pytest.mark.slow
def test_crf(tmp_path):
  found = run(tmp_path, "crf", "--rounds=1")
  assert found["labels"] == 21
  assert found["same_label"] > 0.95
  assert found["mean_difference_of_q"] < 0.01


@pytest.mark.slow
def test_aerial(tmp_path):
  """Sixteen times the pixels in less than twice the memory."""
  flags = "--sides=256,1024", "--width=4", "--window=128"
  small, large = run(tmp_path, "aerial", *flags)["rows"]
  assert large["image_mb"] == 16 * small["image_mb"]
  assert 100 < small["peak_mb"] < large["peak_mb"] < 2 * small["peak_mb"]
  assert small["seconds"] < large["seconds"]
  assert large["classes_found"] > 1


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  subprocess.run(
    [
      *(sys.executable, "-m", "jaxseg.data.prepare", "--dataset=scenes"),
      f"--data_dir={folder}",
    ],
    cwd=cli.ROOT,
    check=True,
    capture_output=True,
  )
  return folder


@pytest.mark.slow
def test_idle(tmp_path, scenes):
  narrow = "--", "--config.model.width=4"
  flags = "--config=configs/unet_scenes.py", "--steps=24", "--rounds=1"
  data = f"--data_dir={scenes}"
  (found,) = run(tmp_path, "idle", *flags, data, *narrow)["configs"].values()
  for side in ("read", "held"):
    (once,) = found["runs"][side]
    assert 0 <= once["idle_share"] < 0.5
    assert once["images_per_second"] == found["images_per_second"][side] > 0
  assert found["idle_share"] == found["runs"]["read"][0]["idle_share"]
  # In memory there is nothing to wait for.
  assert found["runs"]["held"][0]["idle_share"] < 0.05


@pytest.mark.slow
def test_startup(tmp_path, scenes):
  narrow = "--", "--config.model.width=4"
  found = run(
    tmp_path, "startup", "--rounds=1", f"--data_dir={scenes}", *narrow
  )
  seconds = found["median_seconds"]
  assert 0 < seconds["warm"] < seconds["cold"]
