"""Configs of every malformed kind: built, or refused in a sentence.

Every leaf of the config in turn is given what it should not be, by the flags
that a user would write, through the parser of main and through build.
"""

import contextlib
import io
import sys

import jax
import numpy as np
import pytest
from absl import flags
from hypothesis import given
from hypothesis import strategies as st

from jaxseg import build, defaults, main
from tests import cli
from tests.faults import fuzz

# ml_collections loads config files the old way.
pytestmark = pytest.mark.filterwarnings(
  "ignore:the load_module:DeprecationWarning"
)

BY_TYPE = {
  bool: ("maybe", "2"),
  int: ("-1", "0", "1099511627776", "99999999999999999999", "1.5", "x"),
  float: ("nan", "inf", "-1.0", "1e300", "x", "(1,)"),
  str: ("nonsense", "../../x", "a" * 300, "\N{SNOWMAN}", "|", "0"),
  tuple: ("('x',)", "(-1,)", "(float('nan'),)", "((1,),)", "1", "()", "(None,"),
}


def leaves(config, prefix=""):
  """(dotted name, type) of every leaf."""
  for key in sorted(config):
    value = config.get_ref(key) if hasattr(config, "get_ref") else None
    inner = config[key]
    if hasattr(inner, "items"):
      yield from leaves(inner, f"{prefix}{key}.")
    else:
      yield prefix + key, value.get_type()


LEAVES = list(leaves(defaults.get_config()))
CASES = [
  (name, value) for name, kind in LEAVES for value in BY_TYPE.get(kind, ("x",))
]


def command(data, *changes):
  return [
    "jaxseg.main",
    *cli.folder_flags(
      data, data__val_fraction=0.5, data__batch_size=8, eval__batch_size=8
    ),
    *changes,
  ]


def parse(argv):
  """What main does with the flags: (config, None), or (None, the sentence)."""
  for name in list(flags.FLAGS):  # a process parses once
    if name.startswith("config."):
      delattr(flags.FLAGS, name)
  err = io.StringIO()
  with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(err):
    patch.setattr(sys, "argv", argv)
    try:
      main._parse(argv)
    except SystemExit as e:
      status = e.code
    else:
      config = main._CONFIG.value  # asks sys.argv again
      main._length(config, argv)
      return config, None
  assert status == 2
  text = err.getvalue()
  assert text.startswith("error: "), text
  assert text.endswith("\n"), text
  fuzz.check_sentence(text.strip())
  return None, text


def parse_and_build(argv):
  """What main does before it touches a device; None, or the sentence."""
  config, text = parse(argv)
  if text:
    return text
  return fuzz.attempt(build.experiment, config)[1]


def check(data, cases):
  """Runs all, and tells of all that broke at once."""
  broken, refused = [], 0
  for name, value in cases:
    argv = command(data, f"--config.{name}={value}")
    try:
      text = parse_and_build(argv)
    except (Exception, fuzz.Hang) as e:
      broken.append(f"{name}={value[:40]}: {type(e).__name__}: {str(e)[:200]}")
      continue
    refused += text is not None
  jax.clear_caches()
  assert not broken, f"{len(broken)} of {len(cases)}:\n" + "\n".join(broken)
  return refused


def test_the_config_itself_is_good(data):
  assert parse_and_build(command(data)) is None


def drawn(count):
  order = np.random.default_rng(13).permutation(len(CASES))
  return [CASES[i] for i in order[:count]]


def test_some_leaves(data):
  assert check(data, drawn(60)) >= 25


@pytest.mark.slow
def test_every_leaf(data):
  assert len(CASES) >= 500
  refused = check(data, CASES)
  print(f"\n{len(CASES)} configs, {refused} refused")
  assert refused >= 250


NESTED = [
  ["--config.optim=1"],
  ["--config.optim.lr.x=1"],
  ["--config.data=()"],
  ["--config.model.encoder=resnet50"],
  ["--config.model.crf.iterations.more=1"],
  ["--config..lr=1"],
  ["--config.=1"],
  ["--config.optim.__class__=1"],
  ["--config.optim.rules=(('[',1.0),)"],
  ["--config.optim.rules=((1,),)"],
  ["--config.optim.rules=(('^x',float('nan')),)"],
  ["--config.data.keep=(('label',2.0),)"],
  ["--config.data.keep=('label',)"],
  ["--config.task.losses=('dice*x',)"],
  ["--config.task.losses=(1,)"],
  ["--config.task.losses=('cross_entropy*nan',)"],
  ["--config.inference.scales=(0.0,)"],
  ["--config.inference.scales=()"],
  ["--config.inference.mode=slide", "--config.inference.window=(0,0)"],
  ["--config.data.augment=scale:x"],
  ["--config.data.augment=crop|crop|"],
  ["--config.data.augment=flip("],
  ["--config.data.colors=('red','blue')"],
  ["--config.data.ids=(70000,1)"],
  ["--config.data.ids=(-5,1)"],
  ["--config.data.ids=(1,1)"],
  ["--config.data.ignore_ids=(99999999,)"],
  ["--config.data.size=1000000,1000000"],
  ["--config.remat=["],
  ["--config.steps=__import__('os')"],
  ["--config.data.classes=" + "x," * 500],
]


def test_nested_mistakes(data):
  broken = []
  for changes in NESTED:
    argv = command(data, *changes)
    try:
      parse_and_build(argv)
    except (Exception, fuzz.Hang) as e:
      broken.append(f"{str(changes)[:90]}: {type(e).__name__}: {str(e)[:200]}")
  jax.clear_caches()
  assert not broken, "\n".join(broken)


NAME = st.sampled_from([name for name, _ in LEAVES])
VALUE = st.one_of(
  st.integers().map(str),
  st.floats().map(str),
  st.text(st.characters(codec="utf-8"), max_size=12),
  st.lists(st.integers(-3, 300), max_size=3).map(lambda v: str(tuple(v))),
)


@fuzz.drawn(60)
@given(name=NAME, value=VALUE, twice=st.booleans())
def test_values_that_hypothesis_draws(name, value, twice):
  """The parser alone: a value of the leaf's type, or a sentence."""
  argv = ["jaxseg.main", "--config=configs/unet_scenes.py"]
  argv += [f"--config.{name}={value}"] * (1 + twice)
  config, text = parse(argv)
  if text is None:
    held, kind = build.plain(config), dict(LEAVES)[name]
    for key in name.split("."):
      held = held[key]
    assert held is None or isinstance(held, (kind, list)), (name, held)
  else:
    assert name.rpartition(".")[2] in text, text
