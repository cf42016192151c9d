"""No circles: who may import whom, read off the sources (DESIGN's floors)."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent / "jaxseg"
FILES = sorted(ROOT.rglob("*.py"))

FLOORS = {
  "types": 0,
  "compiling": 0,
  "faults": 0,
  "host_memory": 0,
  "guard": 0,
  "keyboard": 0,
  "process": 0,
  "ops": 0,
  "classical": 0,
  "serving": 0.5,
  "layers": 0.5,  # Linen modules of one layer: encoders and models use them
  "losses": 1,
  "metrics": 1,
  "encoders": 1,
  "weights": 1,
  "viz": 1,
  "sheets": 1.5,  # of the pictures that viz makes
  "data": 1,
  "analysis": 1,
  "methods": 2,
  "models": 2,
  "tasks": 2,
  "applications": 2,
  "state": 3,
  "optim": 3,
  "mesh": 3,
  "progress": 3,
  "writers": 3,
  "checkpoint": 3,
  "continuation": 0,
  "earlier": 3,
  "answer": 3,
  "inference": 3,
  "windows": 3,
  "shift_and_stitch": 3,
  "native": 3,
  "anysize": 3,
  "step": 3,
  "remat": 3,
  "experiment": 3,
  "interrupt": 3,
  "meter": 3,
  "train": 4,
  "evaluate": 4,
  "predicting": 4,
  "predict": 1,  # the program that serves an artifact
  "export": 4,
  "summary": 4,
  "judge": 4,
  "defaults": 5,
  "clips": 5,
  "clicked": 5,
  "naming": 5,
  "networks": 5,
  "ranges": 5,
  "assignment": 5,
  "build": 5,
  "run": 5,
  "unlearned": 5,
  "main": 6,
}
# Pairs on neighbouring floors that must not meet.
FORBIDDEN = {
  ("models", "tasks"),
  ("models", "losses"),
  ("models", "data"),
  ("tasks", "models"),
  ("tasks", "data"),
  ("tasks", "encoders"),
  ("train", "data"),
  ("train", "models"),
  ("train", "tasks"),
  ("evaluate", "data"),
  ("judge", "data"),
  ("judge", "methods"),
  ("methods", "data"),
  ("evaluate", "models"),
  ("evaluate", "tasks"),
  ("export", "data"),
  ("predicting", "models"),
  ("predicting", "tasks"),
  *(
    (a, b) for a in ("losses", "metrics", "encoders", "viz") for b in ("data",)
  ),
}
# Outside packages, and who alone may import them.
RESERVED = {
  "ml_collections": {
    "main",
    "build",
    "clicked",
    "clips",
    "defaults",
    "assignment",
    "naming",
    "networks",
    "ranges",
    "run",
    "unlearned",
  },
  "tensorflow_datasets": {"data"},
  "grain": {"data"},
  "array_record": {"data"},
  "cv2": {"data", "viz", "sheets", "writers", "predicting"},
  "PIL": {"data", "sheets", "serving"},
  "orbax": {"checkpoint"},
  "absl": {"main"},
  "clu": {"writers"},
  "h5py": {"data", "weights"},
  "safetensors": {"weights"},
  "sklearn": {"classical"},  # to grow a forest, when asked to
  "tensorflow": set(),
  "torch": set(),
}


def unit(path: pathlib.Path) -> str:
  """'jaxseg/data/spec.py' -> 'data'."""
  part = path.relative_to(ROOT).parts[0]
  return part.removesuffix(".py")


def imports(path: pathlib.Path) -> set[str]:
  """Dotted names that a file imports, wherever in it."""
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
      found.add(node.module)
      found |= {f"{node.module}.{alias.name}" for alias in node.names}
  return found


def test_every_file_has_a_floor():
  units = {unit(p) for p in FILES} - {"__init__"}
  assert units <= FLOORS.keys(), units - FLOORS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
  here = unit(path)
  if here == "__init__":
    return
  for name in imports(path):
    words = name.split(".")
    if words[0] != "jaxseg":
      allowed = RESERVED.get(words[0])
      assert allowed is None or here in allowed, f"{here} imports {words[0]}"
      continue
    there = words[1] if len(words) > 1 else "__init__"
    if there not in FLOORS or there == here:
      continue
    assert FLOORS[there] <= FLOORS[here], f"{here} imports {there}, above it"
    assert (here, there) not in FORBIDDEN, f"{here} imports {there}"


def test_no_circles_between_modules():
  """Modules in the order of their imports: a circle has none."""
  names = {
    ".".join(("jaxseg", *p.relative_to(ROOT).with_suffix("").parts)): p
    for p in FILES
  }
  names = {k.removesuffix(".__init__"): p for k, p in names.items()}
  edges = {
    k: {n for n in imports(p) if n in names and n != k}
    for k, p in names.items()
  }
  # A package's __init__ may gather its own modules.
  edges = {
    k: {n for n in v if not k.startswith(n + ".")} for k, v in edges.items()
  }
  edges.pop("jaxseg", None)
  done: set[str] = set()
  while len(done) < len(edges):
    ready = {
      k for k, v in edges.items() if k not in done and v - {"jaxseg"} <= done
    }
    assert ready, f"a circle among {sorted(edges.keys() - done)}"
    done |= ready


def test_the_reader_of_imports_sees_them(tmp_path):
  """The tests above would pass on a blind reader."""
  file = tmp_path / "a.py"
  file.write_text("def f():\n  from jaxseg import tasks\n  import cv2\n")
  assert {"jaxseg.tasks", "cv2"} <= imports(file)
