"""The command line as tests use it: real processes, one import for all.

Importing everything takes seconds. `Server` starts one process that has done
so, but has not touched a device; each command is a fork of it, which runs the
very same `app.run(main)` as `python -m jaxseg.main` and can be killed.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time

import cv2
import numpy as np
import orbax.checkpoint as ocp

from tests import quick

ROOT = pathlib.Path(__file__).parents[1]
SMOOTH = "JAXSEG_TESTS_SMOOTH"  # of a command's environment


def port():
  """A free one."""
  with contextlib.closing(socket.socket()) as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


def environment(**changes):
  """The parent's, without its fake devices and cache."""
  env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
  env.pop("XLA_FLAGS", None)
  env.update({k: str(v) for k, v in changes.items()})
  return env


def quickly(devices):
  """XLA_FLAGS: so many fake devices, and programs of few steps compiled soon,
  as by `quick`."""
  options = {"xla_force_host_platform_device_count": devices, **quick.OPTIONS}
  return " ".join(f"--{k}={str(v).lower()}" for k, v in options.items())


def write_folder(root, n=12, size=32):
  """n pictures of a bright square; ids 0 and 1."""
  rng = np.random.default_rng(0)
  for name in ("images", "masks"):
    (root / name).mkdir(parents=True)
  for i in range(n):
    mask = np.zeros((size, size), np.uint8)
    y, x = rng.integers(0, size // 2, 2)
    mask[y : y + 12, x : x + 12] = 1
    image = rng.integers(0, 90, (size, size, 3)) + mask[..., None] * 150
    cv2.imwrite(str(root / f"images/{i:02d}.png"), image.astype(np.uint8))
    cv2.imwrite(str(root / f"masks/{i:02d}.png"), mask)
  return root


def folder_flags(root, **changes):
  """A run of seconds on `write_folder`; keys with __ for dots."""
  values = {
    "audit": False,
    "tensorboard": False,
    "log_every": 4,
    "steps": 12,
    "data.name": "folder",
    "data.images": root / "images",
    "data.masks": root / "masks",
    "data.classes": "ground,square",
    "data.size": "32,32",
    "data.batch_size": 4,
    "data.augment": "flip|photometric",
    "data.threads": 1,
    "model.width": 2,
    "model.depth": 1,
    "optim.warmup_steps": 0,
    "optim.lr": 0.01,
  }
  values.update({k.replace("__", "."): v for k, v in changes.items()})
  return [
    "--config=configs/unet_scenes.py",
    *(f"--config.{k}={v}" for k, v in values.items()),
  ]


@dataclasses.dataclass
class Job:
  """A command that was started."""

  server: "Server"
  pid: int
  files: pathlib.Path

  @property
  def out(self):
    return pathlib.Path(f"{self.files}.out").read_text()

  @property
  def err(self):
    return pathlib.Path(f"{self.files}.err").read_text()

  @property
  def child(self):
    """The process behind the guard, which does the work of one of several."""
    path = f"/proc/{self.pid}/task/{self.pid}/children"
    return int(pathlib.Path(path).read_text().split()[0])

  def wait(self, timeout=90):
    """Exit status; minus the signal if one killed it."""
    until = time.time() + timeout
    while (status := self.server.ask(poll=self.pid)) is None:
      if time.time() > until:
        os.kill(self.pid, signal.SIGKILL)
        raise TimeoutError(f"still running after {timeout} s: {self.err}")
      time.sleep(0.02)
    return status


class Server:
  """Forks commands; a context manager."""

  def __init__(self, folder):
    self._folder = pathlib.Path(folder)
    self._count = 0
    self.compiled = self._folder / "compiled"

  def __enter__(self):
    self._process = subprocess.Popen(
      [sys.executable, __file__],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      cwd=ROOT,
      env=environment(JAX_COMPILATION_CACHE_DIR=self.compiled),
      text=True,
    )
    return self

  def __exit__(self, *unused):
    self._process.stdin.close()
    self._process.wait(10)
    self._process.stdout.close()

  def ask(self, **message):
    print(json.dumps(message), file=self._process.stdin, flush=True)
    return json.loads(self._process.stdout.readline())

  def start(self, argv, headroom_mb=None, **env):
    """Starts `python -m jaxseg.main *argv`.

    Args:
      argv: of the command line.
      headroom_mb: address space that the process may take beyond what it
        starts with; None: no limit.
      **env: changes of its environment.
    """
    self._count += 1
    files = self._folder / f"command{self._count}"
    for end in ("out", "err"):
      pathlib.Path(f"{files}.{end}").touch()
    pid = self.ask(
      argv=list(map(str, argv)),
      files=str(files),
      env={k: str(v) for k, v in env.items()},
      headroom_mb=headroom_mb,
    )
    return Job(self, pid, files)

  def together(self, argv, processes=1, devices=1, smooth=False):
    """The jobs of one run of several processes, with so many devices each; see
    `quickly`.

    Args:
      argv: of the command line.
      processes, devices: how many.
      smooth: ReLUs are SiLUs, which rounding cannot switch on or off.
    """
    env = {"XLA_FLAGS": quickly(devices), SMOOTH: "1" if smooth else ""}
    if processes == 1:
      return [self.start(argv, **env)]
    joined = [f"--coordinator=127.0.0.1:{port()}", f"--processes={processes}"]
    return [
      self.start([*argv, *joined, f"--process={i}"], **env)
      for i in range(processes)
    ]

  def run(self, argv, timeout=90, **env):
    """(status, stdout, stderr)."""
    job = self.start(argv, **env)
    status = job.wait(timeout)
    return status, job.out, job.err


def limit_memory(headroom_mb):
  """Lets this process take so much more address space, and no more."""
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
  limit = pages * resource.getpagesize() + headroom_mb * 1_000_000
  resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def serve():
  """Answers on stdout: pids of what was started, statuses of what is asked."""
  from absl import app

  from jaxseg import layers, main, run

  del run  # imported for its weight
  done = {}
  for line in sys.stdin:
    message = json.loads(line)
    if "argv" in message:
      sys.stdout.flush()
      pid = os.fork()
      if not pid:
        for number, end in ((1, "out"), (2, "err")):
          file = os.open(
            f"{message['files']}.{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC
          )
          os.dup2(file, number)
        # In a shell's background it is ignored from the start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(message["env"])
        if os.environ.get(SMOOTH):
          layers.ACTIVATIONS["relu"] = layers.ACTIVATIONS["silu"]
        if message["headroom_mb"]:
          limit_memory(message["headroom_mb"])
        sys.argv = ["jaxseg.main", *message["argv"]]
        app.run(main.main, flags_parser=main._parse)  # exits
      answer = pid
    else:
      pid = message["poll"]
      if pid not in done:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
          done[pid] = os.waitstatus_to_exitcode(status)
      answer = done.get(pid)
    print(json.dumps(answer), flush=True)


def metrics(workdir):
  """The lines of metrics.jsonl."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  return [json.loads(line) for line in path.read_text().splitlines()]


def without_speed(lines):
  clocked = ("images_per_second", "input_wait", "idle_share")
  return [{k: v for k, v in line.items() if k not in clocked} for line in lines]


def arrays(workdir, step, kind="latest"):
  """name -> array of a checkpoint, read without our own code."""
  path = pathlib.Path(workdir, "checkpoints", kind, str(step), "state")
  with ocp.PyTreeCheckpointer() as reader:
    names = reader.metadata(path.absolute()).item_metadata.tree
    plain = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
    return reader.restore(path.absolute(), restore_args=plain)


def same_bytes(a, b):
  """Whether two results of `arrays` are equal to the bit."""
  return a.keys() == b.keys() and all(
    a[k].dtype == b[k].dtype
    and a[k].shape == b[k].shape
    and a[k].tobytes() == b[k].tobytes()
    for k in a
  )


if __name__ == "__main__":
  serve()


def check_refused(server, argv, *parts, timeout=30):
  """Exit status 2, one sentence, and all the parts in it."""
  status, _, err = server.run(argv, timeout)
  assert "Traceback" not in err
  assert status == 2, err
  assert err.startswith("error: "), err
  assert err.count("\n") == 1, err
  for part in parts:
    assert str(part) in err, (part, err)
