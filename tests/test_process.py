"""How one of several processes ends."""

import os

import jax
import pytest

from jaxseg import guard, process


class Ended(BaseException):
  """In the place of the end of the process."""


@pytest.fixture
def of_two(monkeypatch):
  """One of two processes; os._exit and sleeping are told to it."""
  told = []

  def end(status):
    told.append(status)
    raise Ended

  monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  monkeypatch.setattr(os, "_exit", end)
  monkeypatch.setattr(process.time, "sleep", lambda s: told.append(f"{s} s"))
  return told


def test_a_fault_of_its_own_ends_it_at_once(of_two, capfd):
  with pytest.raises(Ended):
    process.failed(KeyError("a bug"), heartbeat=10)
  assert of_two == [1]
  assert "KeyError: 'a bug'" in capfd.readouterr().err


def test_a_broken_link_waits_for_who_was_lost(of_two, capfd):
  """Longer than the service takes to miss a heartbeat."""
  error = RuntimeError("Gloo AllReduce failed: Connection closed by peer")
  with pytest.raises(Ended):
    process.failed(error, heartbeat=10)
  assert of_two == ["20.0 s", guard.LOST]
  assert "Connection closed" in capfd.readouterr().err


def test_a_mistake_leaves_time_to_the_others(of_two):
  with pytest.raises(Ended):
    process.leave(2)
  assert of_two == ["2 s", 2]


def test_a_process_on_its_own_goes_on():
  process.failed(KeyError("a bug"), heartbeat=10)
  assert process.leave(2) == 2
