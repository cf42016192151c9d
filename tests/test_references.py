"""What a module takes from another one exists there.

A function that moved leaves behind `module.name` in callers that only some
test, or none, runs: read off the sources of the whole house, as no linter does.
Nothing is imported, so modules whose packages are not installed count as well.
"""

import ast
import functools
import pathlib

ROOT = pathlib.Path(__file__).parent.parent
HOUSES = ("jaxseg", "benchmarks", "tests", "configs")
FILES = sorted(p for house in HOUSES for p in (ROOT / house).rglob("*.py"))


def source_of(module: str) -> pathlib.Path | None:
  """The file of one of our modules; a folder stands for its `__init__`."""
  path = ROOT / module.replace(".", "/")
  if path.is_dir():
    return path / "__init__.py"
  path = path.with_suffix(".py")
  return path if path.exists() else None


def bindings(body: list[ast.stmt]) -> set[str]:
  """The names that statements at the top of a module bind."""
  names = set()
  for node in body:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
      names.add(node.name)
      continue
    if isinstance(node, ast.Import | ast.ImportFrom):
      names |= {a.asname or a.name.split(".")[0] for a in node.names}
      continue
    for inner in ast.iter_child_nodes(node):
      if not isinstance(inner, ast.stmt | ast.excepthandler):
        names |= {
          n.id
          for n in ast.walk(inner)
          if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
    for field in ("body", "orelse", "finalbody"):
      names |= bindings(getattr(node, field, []))
    for handler in getattr(node, "handlers", []):
      names |= bindings(handler.body)
  return names


@functools.cache
def names_of(module: str) -> set[str]:
  path = source_of(module)
  if not path.exists():  # a folder without __init__
    return set()
  return bindings(ast.parse(path.read_text()).body) | {"__doc__", "__file__"}


def ours(module: str | None) -> bool:
  return bool(module) and module.split(".")[0] in HOUSES


def missing(source: str) -> list[str]:
  """The names that `source` wants of our modules and that are not there."""
  tree = ast.parse(source)
  modules, wrong = {}, []
  for node in ast.walk(tree):
    if isinstance(node, ast.ImportFrom) and ours(node.module):
      if source_of(node.module) is None:
        wrong.append(node.module)
        continue
      for name in node.names:
        inner = f"{node.module}.{name.name}"
        if source_of(inner) is not None:
          modules[name.asname or name.name] = inner
        elif name.name not in names_of(node.module):
          wrong.append(inner)
  hidden = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
  hidden |= {
    n.id
    for n in ast.walk(tree)
    if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
  }
  for node in ast.walk(tree):
    if not isinstance(node, ast.Attribute):
      continue
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    if name in hidden or name not in modules:
      continue
    inner = f"{modules[name]}.{node.attr}"
    if node.attr not in names_of(modules[name]) and not source_of(inner):
      wrong.append(inner)
  return wrong


def test_every_name_is_there():
  wrong = {str(p.relative_to(ROOT)): missing(p.read_text()) for p in FILES}
  assert {path: names for path, names in wrong.items() if names} == {}


def test_a_name_that_moved_is_found():
  lines = (
    "from jaxseg import viz",
    "from jaxseg.ops import gone",
    "from jaxseg.nowhere import thing",
    "from benchmarks import torch_nets",
    "viz.lost()",
    "torch_nets.lost()",
  )
  assert missing("\n".join(lines)) == [
    "jaxseg.ops.gone",
    "jaxseg.nowhere",
    "jaxseg.viz.lost",
    "benchmarks.torch_nets.lost",
  ]
