"""The launchers: what they would run. tests/test_hosts.py runs local.sh."""

import os
import pathlib
import shlex
import subprocess

import pytest

LAUNCH = pathlib.Path(__file__).parents[1] / "launch"
FLAGS = ["--config=configs/my experiment.py", "--workdir=runs/$x"]
NAMES = ["local.sh", "slurm.sh", "tpu_pod.sh"]


def launch(name, *argv, **env):
  base = {"PATH": os.environ["PATH"], "DRY_RUN": "1"}
  return subprocess.run(
    ["bash", LAUNCH / name, *argv],
    env={**base, **env},
    capture_output=True,
    text=True,
    timeout=20,
  )


@pytest.mark.parametrize("name", NAMES)
def test_syntax_and_usage(name):
  path = LAUNCH / name
  assert os.access(path, os.X_OK)
  assert "set -euo pipefail" in path.read_text()
  subprocess.run(["bash", "-n", path], check=True)
  help_ = launch(name, "--help")
  assert help_.returncode == 0
  assert "usage:" in help_.stdout + help_.stderr
  nothing = launch(name)
  assert nothing.returncode == 2
  assert "usage:" in nothing.stderr


def test_local():
  done = launch("local.sh", "3", *FLAGS, PORT="777", PYTHON="py")
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  assert len(lines) == 3
  for i, line in enumerate(lines):
    assert shlex.split(line) == [
      *("py", "-m", "jaxseg.main", *FLAGS),
      *("--coordinator=127.0.0.1:777", "--processes=3", f"--process={i}"),
    ]
  assert launch("local.sh", "two", *FLAGS).returncode == 2


def test_local_passes_on_the_first_failure(tmp_path):
  """Processes that end with 0 and 3: a stand-in for python."""
  fake = tmp_path / "py"
  fake.write_text(
    '#!/bin/bash\n[[ "$*" == *--process=1* ]] && exit 3\nexit 0\n'
  )
  fake.chmod(0o755)
  assert launch("local.sh", "2", "x", PYTHON=fake, DRY_RUN="").returncode == 3
  assert launch("local.sh", "1", "x", PYTHON=fake, DRY_RUN="").returncode == 0


def test_slurm():
  done = launch("slurm.sh", *FLAGS, NODES="4", GPUS="2", PARTITION="p")
  assert done.returncode == 0, done.stderr
  first, shebang, run = done.stdout.splitlines()
  options = shlex.split(first)
  assert options[0] == "sbatch"
  assert {"--nodes=4", "--gpus-per-node=2", "--partition=p"} <= set(options)
  assert "--ntasks-per-node=2" in options
  assert shebang == "#!/usr/bin/env bash"
  assert shlex.split(run) == [
    *("exec", "srun", "python", "-m", "jaxseg.main", *FLAGS),
    "--coordinator=auto",
  ]


def test_tpu_pod():
  done = launch("tpu_pod.sh", *FLAGS, TPU="pod", ZONE="z")
  assert done.returncode == 0, done.stderr
  *command, remote = shlex.split(done.stdout)
  assert command == [
    *("gcloud", "compute", "tpus", "tpu-vm", "ssh", "pod"),
    *("--zone=z", "--worker=all"),
  ]
  # What the worker's shell sees.
  folder, run = remote.removeprefix("--command=").split(" && ")
  assert folder == "cd jaxseg"
  assert shlex.split(run) == [
    *("python3", "-m", "jaxseg.main", *FLAGS, "--coordinator=auto")
  ]
  missing = launch("tpu_pod.sh", *FLAGS)
  assert missing.returncode == 2
  assert "TPU and ZONE" in missing.stderr
