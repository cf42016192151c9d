"""Where compiled programs are kept, and when they are not."""

import jax
import pytest

from jaxseg import run
from jaxseg.ops import onednn


@pytest.fixture
def folder(monkeypatch, tmp_path):
  """fn(devices, steps, ...) -> the folder that JAX is told of, or None."""
  monkeypatch.delenv(run.CACHE_VARIABLE, raising=False)
  monkeypatch.setenv("HOME", str(tmp_path))

  def call(devices=1, steps=0, variable=None, available=True):
    told = {}
    monkeypatch.setattr(jax.config, "update", told.__setitem__)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    monkeypatch.setattr(onednn, "available", lambda: available)
    if variable is not None:
      monkeypatch.setenv(run.CACHE_VARIABLE, variable)
    run.compilation_cache(steps)
    return told.get("jax_compilation_cache_dir")

  return call


def test_programs_are_kept_unless_a_long_training_has_better(folder, tmp_path):
  home = str(tmp_path / ".cache/jaxseg/compiled")
  assert folder() == home
  assert folder(steps=run.LONG - 1) == home
  assert folder(steps=run.LONG) is None
  assert folder(steps=run.LONG, devices=8) == home
  assert folder(steps=run.LONG, available=False) == home


def test_the_variable_has_the_last_word(folder):
  assert folder(steps=run.LONG, variable="/elsewhere") == "/elsewhere"
  assert folder(variable="") is None
