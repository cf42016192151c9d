"""The registries of methods: configs, options, mistakes."""

import inspect

import pytest

from jaxseg import defaults, methods, run, unlearned
from jaxseg.types import UserError
from tests.methods.pictures import CONFIGS, ROOT, config_of


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_has_a_config_that_says_what_it_is(name):
  config = config_of(name)
  assert config.method.name == name
  made, step = unlearned.method_of(config)
  for part in ("measure", "result", "files", "pictures", "__call__"):
    assert callable(getattr(made, part))
  assert step == 0
  header = (ROOT / "configs" / f"{CONFIGS[name]}.py").read_text()
  for word in ("Paper:", "Command:", "Data:", "Nothing is trained"):
    assert word in header


def test_every_option_of_a_method_is_a_key():
  keys = set(defaults.get_config().method.keys()) - {"name"}
  every = [*methods.METHODS.values(), *methods.LEARNED.values()]
  options = {x for m in every for x in inspect.signature(m).parameters}
  assert keys == options - {"network"}  # which is given, not chosen


@pytest.mark.parametrize("mode", ["train", "export", "summary"])
def test_there_is_nothing_to_train(mode, tmp_path):
  with pytest.raises(UserError, match=f"nothing to {mode}") as error:
    run.start(mode, config_of("slic"), str(tmp_path / "w"))
  assert str(error.value).count(". ") == 0
  assert not (tmp_path / "w").exists()


def test_unknown_methods_and_options():
  config = config_of("ucm")
  config.method.name = "usm"
  with pytest.raises(UserError, match=r"'usm'.*Did you mean 'ucm'"):
    unlearned.method_of(config)
  config.method.name = "ucm"
  config.method.segments = 3
  with pytest.raises(UserError, match="segments is not an option of gpb_ucm"):
    unlearned.method_of(config)
  config.method.segments = None
  config.method.level = 2.0
  with pytest.raises(UserError, match="level from 0 to 1"):
    unlearned.method_of(config)
