"""How far cores are from one another, and what a round is counted to."""

import os

import pytest

from benchmarks import cores
from jaxseg.ops import cpp


def test_a_round_is_of_one_place_or_of_none():
  assert cores.place(90.0, 110.0) == cores.NEAR
  assert cores.place(390.0, 420.0) == cores.FAR
  assert cores.place(90.0, 400.0) == cores.place(400.0, 90.0) == ""
  assert cores.place(None, 90.0) == cores.place(90.0, None) == ""


def test_a_word_takes_time():
  """No core hands a word over in a nanosecond, or takes a millisecond."""
  ns = cores.distance_ns(repeats=3)
  if ns is None:
    pytest.skip("one core, or no C++ compiler")
  assert 1 < ns < 1e6


def test_no_distance_without_another_core_or_a_compiler(monkeypatch):
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
  assert cores.distance_ns() is None
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
  monkeypatch.setattr(cpp, "compiler", lambda: _raise(cpp.Missing("none")))
  cpp.load.cache_clear()
  try:
    assert cores.distance_ns() is None
  finally:
    cpp.load.cache_clear()


def _raise(error):
  raise error
