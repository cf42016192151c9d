"""The accelerator's benchmark: it runs, counts right, needs three packages."""

import json
import math
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks import filling, gpu, gpu_networks
from jaxseg.analysis import cost
from tests import cli, quick

# Whatever jax, flax and optax do not bring themselves.
ABSENT = (
  "PIL",
  "array_record",
  "clu",
  "cv2",
  "flatbuffers",
  "grain",
  "h5py",
  "ml_collections",
  "safetensors",
  "tensorboardX",
  "tensorflow",
  "tensorflow_datasets",
  "torch",
)
BLOCKED = """
import importlib.abc, runpy, sys

_, absent, *sys.argv = sys.argv

class Absent(importlib.abc.MetaPathFinder):
  def find_spec(self, name, path, target=None):
    if name.partition(".")[0] in absent.split(","):
      raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""

# Compiles in seconds; see tests/quick.py.
QUICK = " ".join(
  f"--{name}={value}".lower() for name, value in quick.OPTIONS.items()
)


def run_blocked(*argv, but=(), timeout=900):
  """python -m argv, where nothing else is installed `but` this; its stdout."""
  absent = ",".join(name for name in ABSENT if name not in but)
  done = subprocess.run(
    [sys.executable, "-c", BLOCKED, absent, *map(str, argv)],
    cwd=cli.ROOT,
    env=cli.environment(XLA_FLAGS=QUICK),
    capture_output=True,
    text=True,
    timeout=timeout,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  return done.stdout


def test_the_blocker_blocks(tmp_path):
  """The test below would pass if nothing were absent."""
  (tmp_path / "wants.py").write_text("import cv2\n")
  done = subprocess.run(
    [sys.executable, "-c", BLOCKED, "grain,cv2", "wants"],
    cwd=tmp_path,
    env={**cli.environment(), "PYTHONPATH": str(tmp_path)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert "No module named 'cv2'" in done.stderr


def test_small_run_without_other_packages(tmp_path, monkeypatch):
  """One network for real, and the report that is made of it."""

  def measure(side, name, argv):
    assert side == "jaxseg"
    return json.loads(
      run_blocked("benchmarks.gpu", *argv, "--child", side, name)
    )

  monkeypatch.setattr(gpu, "measure", measure)
  monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
  argv = ["--small", "--networks=unet_w64", f"--out={tmp_path}"]
  monkeypatch.setattr(sys, "argv", ["gpu", *argv])
  assert gpu.main() == 0
  report = json.loads((tmp_path / "gpu.json").read_text())
  assert report["accelerator"] is False
  assert "not what the networks reach" in report["note"]
  network = report["networks"]["unet_w64"]
  assert network["size"] == 32
  ours = network["jaxseg"]
  assert ours["versions"] == {"jax": jax.__version__}
  assert ours["matrix_tflops"] > 0
  # Four poolings at width 4: 31,037,763 of the real one are those of width 64.
  model = gpu_networks.make_model(gpu_networks.NETWORKS["unet_w64"], True)
  counted = cost.count(model, jnp.zeros((1, 32, 32, 3)))
  assert ours["parameters"] == counted.parameters > 100_000
  assert ours["macs_per_image"] == counted.macs
  for mode, factor in (("forward", 2), ("step", 6)):
    entry = ours[mode]
    assert entry["tried"] == [[2, entry["images_per_second"]]]
    assert (entry["batch"], entry["stopped"]) == (2, "last")
    # XLA counts additions and divisions too, and no gradient of the image.
    assert 0.9 < entry["xla_flop_per_image"] / (factor * counted.macs) < 1.2
    assert entry["planned_bytes"] > 4 * counted.parameters
    flops = factor * counted.macs * entry["images_per_second"]
    assert math.isclose(entry["tflops"], flops / 1e12)
    share = entry["share_of_matrix"] * ours["matrix_tflops"]
    assert math.isclose(share, entry["tflops"])
  assert list(pathlib.Path(ours["step"]["profile"]).rglob("*.xplane.pb"))


@pytest.mark.parametrize("name", gpu_networks.NETWORKS)
def test_peers_have_our_parameters_and_multiply_adds(name):
  """At the sizes of the benchmark; counted on shapes."""
  torch = pytest.importorskip("torch")
  flops = pytest.importorskip("torch.utils.flop_counter")
  network = gpu_networks.NETWORKS[name]
  size = network.size
  image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
  ours = cost.count(gpu_networks.make_model(network, False), image)
  with torch.device("meta"), torch.no_grad():
    peer = gpu_networks.make_peer(network, False).eval()
    with flops.FlopCounterMode(display=False) as counter:
      out = peer(torch.empty(1, 3, size, size))
  assert out.shape == (1, network.classes, size, size)
  assert sum(p.numel() for p in peer.parameters()) == ours.parameters
  macs = sum(row.macs for row in ours.rows if row.path != cost.OTHER)
  assert counter.get_total_flops() == 2 * macs
  with torch.device("meta"):
    heads = peer.train()(torch.empty(2, 3, size, size))
  want = 2 if name.startswith("pspnet") else 1  # the auxiliary head's too
  assert [head.shape for head in heads] == [(2, *out.shape[1:])] * want


def fake(limit, per_second, plan):
  """A device that takes `limit` images, by batch as fast as per_second says."""
  log = []

  def prepare(mode, size):
    log.append((mode, size))
    if size > limit:
      raise MemoryError("full")
    return (lambda: size), {"fact": size}

  report = filling.fill(
    plan,
    ("step",),
    prepare,
    timed=lambda run, n: n * run() / per_second(run()),
    memory=lambda: 7,
    is_full=lambda e: isinstance(e, MemoryError),
    profile={"step": lambda run: f"profile of {run()}"},
  )
  return report["step"], log


def test_batches_double_until_the_memory_is_full():
  plan = filling.Plan(seconds=60, first=8, last=4096)
  best, log = fake(100, lambda batch: 10.0 * batch**0.5, plan)
  assert [size for _, size in log] == [8, 16, 32, 64, 128, 64]
  assert (best["batch"], best["fact"], best["stopped"]) == (64, 64, "memory")
  assert math.isclose(best["images_per_second"], 80)
  assert best["profile"] == "profile of 64"
  assert [size for size, _ in best["tried"]] == [8, 16, 32, 64]


def test_the_fastest_batch_counts_not_the_largest():
  plan = filling.Plan(seconds=60, first=8, last=64)
  best, _ = fake(1000, lambda batch: 100.0 - abs(batch - 16), plan)
  assert (best["batch"], best["images_per_second"]) == (16, 100)
  assert best["stopped"] == "last"


def test_a_device_that_takes_nothing_says_so_and_time_runs_out():
  plan = filling.Plan(seconds=60, first=8)
  best, log = fake(0, lambda batch: 1.0, plan)
  assert best == {"tried": [], "stopped": "memory"}
  assert [size for _, size in log] == [8, 4, 2, 1]
  best, log = fake(1000, lambda batch: 1e3, filling.Plan(seconds=0.0))
  assert (best["batch"], best["stopped"]) == (8, "time")
  assert [size for _, size in log] == [8, 8]


def test_a_first_batch_that_does_not_fit_is_halved():
  best, log = fake(5, lambda batch: 1.0, filling.Plan(seconds=60, first=32))
  assert [size for _, size in log] == [32, 16, 8, 4, 4]
  assert (best["batch"], best["stopped"]) == (4, "memory")


def test_other_errors_are_not_taken_for_a_full_memory():
  with pytest.raises(ZeroDivisionError):
    fake(1000, lambda batch: 0, filling.Plan())


def test_ratios_compare_images_per_second():
  def side(rate):
    mode = {"batch": 1, "images_per_second": rate}
    return {"matrix_tflops": 4e-3, "step": mode, "forward": {"tried": []}}

  network = {
    "jaxseg": {**side(6.0), "macs_per_image": 10**8},
    "eager": side(3.0),
    "compile": {"failed": "exit status 1: see above"},
  }
  gpu.shares(network)
  assert network["ratio"] == {"step": {"eager": 2.0}}
  assert math.isclose(network["jaxseg"]["step"]["tflops"], 3.6e-3)
  assert math.isclose(network["eager"]["step"]["share_of_matrix"], 0.45)
