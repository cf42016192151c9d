"""python -m jaxseg.main --config=configs/unet_pets.py --workdir=DIR.

Flags, and nothing else: the work is in train, evaluate, predict and export.
What the user can mend is one sentence on stderr and exit status 2.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from jaxseg import faults, keyboard
from jaxseg.types import UserError

MODES = ("train", "eval", "predict", "export", "summary")

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "The experiment: a Python file with get_config()."
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Where checkpoints, metrics and predictions are."
)
_MODE = flags.DEFINE_string("mode", "train", " | ".join(MODES))
_COORDINATOR = flags.DEFINE_string(
  "coordinator", None, "host:port of process 0; 'auto' on SLURM and TPU pods."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "Number of processes.")
_PROCESS = flags.DEFINE_integer("process", None, "Index of this process.")
_HEARTBEAT = flags.DEFINE_integer(
  "heartbeat", 30, "Seconds of silence after which a process counts as lost.", 2
)


def _parse(argv: list[str]) -> list[str]:
  """absl's parser, with its exceptions made sentences."""
  try:
    rest = flags.FLAGS(argv)
    if flags.FLAGS["verbosity"].using_default_value:
      # Orbax tells forty lines per save; --verbosity=0 brings them back.
      flags.FLAGS.verbosity = logging.WARNING
      faults.hush()
    _CONFIG.value  # noqa: B018 - a config that did not load raises here
    return rest
  except UserError as e:
    text = str(e)
  except (AttributeError, KeyError) as e:
    text = _unknown_key(str(e), argv)
  except flags.Error as e:
    text = str(e)
    if "Traceback" in text:  # of a config file; its last line says what
      last = text.strip().splitlines()[-1]
      text = f"--config={_config_path(argv)} did not load: {last}."
      if "positional argument" in last:
        text += " This file takes no argument after a colon."
  except OSError as e:
    text = f"--config={_config_path(argv)} cannot be read: {_first_reason(e)}"
  except (ValueError, TypeError, SyntaxError, ImportError) as e:
    text = f"{type(e).__name__} in the flags or the config file: {e}"
  raise SystemExit(_fail(" ".join(text.split())))


def _unknown_key(text: str, argv: list[str]) -> str:
  """What ml_collections says of a key that is not there, in a sentence."""
  found = re.search(r'[Kk]ey "(\w+)"', text) or re.search(r"'(\w+)", text)
  key = found[1] if found else text
  named = [a for a in argv if a.startswith("--config.") and key in a]
  near = re.search(r'Did you mean "(\w+)"', text)
  hint = f" Did you mean {near[1]!r}?" if near else ""
  return (
    f"{named[0] if named else key}: the config has no key {key!r}.{hint} "
    "jaxseg/defaults.py lists all keys."
  )


def _length(config: Any, argv: list[str]) -> None:
  """--config.steps overrules the file's epochs, and the other way round."""
  given = {
    name
    for name in ("steps", "epochs")
    if any(a.lstrip("-").split("=")[0] == f"config.{name}" for a in argv)
  }
  if given == {"steps"}:
    config.epochs = None
  elif given == {"epochs"}:
    config.steps = None


def _config_path(argv: list[str]) -> str:
  """What --config names, the last time."""
  path = ""
  for i, arg in enumerate(argv):
    name, _, value = arg.lstrip("-").partition("=")
    if name == "config":
      path = value or (argv[i + 1] if i + 1 < len(argv) else "")
  return path


def _first_reason(error: OSError) -> str:
  """ml_collections tells of every place where it looked; one will do."""
  lines = [line.strip() for line in str(error).splitlines() if "Errno" in line]
  reason = lines[0] if lines else str(error)
  return f"{reason}. Name a file such as configs/unet_scenes.py."


def _fail(text: str) -> int:
  print(f"error: {text}", file=sys.stderr)
  return 2


def main(argv: list[str]) -> int:
  """Runs a mode; returns the exit status."""
  try:
    with keyboard.heard():
      return _run(argv)
  except KeyboardInterrupt:
    # Threads of a save or of the data may hold locks that an exit in good
    # order would wait for; what is on disk is whole at any moment.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(keyboard.STATUS)


def _run(argv: list[str]) -> int:
  if _COORDINATOR.value is not None:
    from jaxseg import guard

    guard.stand(_WORKDIR.value, _MODE.value)
  # Heavy: after the flags are found good.
  from jaxseg import host_memory, process, run

  host_memory.reuse()
  try:
    if _MODE.value not in MODES:
      raise UserError(
        f"--mode={_MODE.value} is not known: expected one of "
        f"{', '.join(MODES)}."
      )
    for name, value in (("config", _CONFIG.value), ("workdir", _WORKDIR.value)):
      needed = name == "config" or _MODE.value != "summary"
      if value is None and needed:
        raise UserError(
          f"--{name} is missing: python -m jaxseg.main "
          "--config=configs/unet_scenes.py --workdir=runs/scenes"
        )
    process.distributed(
      _COORDINATOR.value, _PROCESSES.value, _PROCESS.value, _HEARTBEAT.value
    )
    config = _CONFIG.value
    _length(config, sys.argv)
    return run.start(_MODE.value, config, _WORKDIR.value, argv[1:])
  except UserError as e:
    return process.leave(_fail(str(e)))
  except Exception as e:
    if text := faults.sentence(e):  # a full disk, too little memory
      return process.leave(_fail(text))
    process.failed(e, _HEARTBEAT.value)
    raise


if __name__ == "__main__":
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  app.run(main, flags_parser=_parse)
