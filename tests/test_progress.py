"""Lines about a long loop, where there is no terminal."""

import io

from rich.console import Console

from jaxseg import progress


def told(seconds, monkeypatch, terminal=False):
  """What five turns of so many seconds each print."""
  clock = iter(range(0, 10 * seconds, seconds))
  monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
  out = io.StringIO()
  console = Console(file=out, force_terminal=terminal, highlight=False)
  with progress.counted(console, "eval val", 5) as done:
    for _ in range(5):
      done()
  return out.getvalue()


def test_a_long_loop_says_now_and_then_how_far_it_is(monkeypatch):
  lines = told(20, monkeypatch).splitlines()
  assert lines == ["eval val 2/5  60 s left", "eval val 4/5  20 s left"]


def test_a_short_loop_says_nothing(monkeypatch):
  assert told(5, monkeypatch) == ""


def test_a_terminal_has_a_bar_and_no_lines():
  out = io.StringIO()
  console = Console(file=out, force_terminal=True, width=80)
  with progress.counted(console, "predict", 2) as done:
    done()
    done()
  assert "2/2" in out.getvalue()
  assert "s left" not in out.getvalue()
