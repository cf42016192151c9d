"""What all fuzzing holds to: a result or a UserError, within seconds."""

import signal

from hypothesis import HealthCheck, settings

from jaxseg.types import UserError

SECONDS = 10  # for one input; they take milliseconds


class Hang(BaseException):
  """No `except Exception` of the library can catch it."""


def attempt(function, *args, **kwargs):
  """(result, None), or (None, the text of the UserError).

  Everything else that is raised goes on; whatever takes longer is a Hang.
  """

  def ring(signum, frame):
    del signum, frame
    raise Hang(f"no answer after {SECONDS} s")

  before = signal.signal(signal.SIGALRM, ring)
  signal.alarm(SECONDS)
  try:
    return function(*args, **kwargs), None
  except UserError as e:
    check_sentence(str(e))
    return None, str(e)
  finally:
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def drawn(count):
  """So many inputs that Hypothesis draws, the same ones in every run."""
  return settings(
    max_examples=count,
    deadline=None,
    derandomize=True,
    # They write over the same file of one folder.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
  )


def check_sentence(text):
  """One line that a person can read: no dump, no trace of the code."""
  assert text
  assert "\n" not in text, text
  assert "Traceback" not in text, text
  assert len(text) < 2000, text
  assert '.py", line' not in text, text


def flip_bits(data, rng, count):
  out = bytearray(data)
  for _ in range(count):
    out[rng.integers(len(out))] ^= 1 << rng.integers(8)
  return bytes(out)


def mutations(data, seed, cuts=6, flips=8):
  """Truncated, with flipped bits, with a hole, doubled: (what, bytes)."""
  import numpy as np

  rng = np.random.default_rng(seed)
  for _ in range(cuts):
    yield "cut", data[: rng.integers(len(data))]
  for i in range(flips):
    yield "flip", flip_bits(data, rng, 1 + i % 4)
  at = int(rng.integers(len(data)))
  yield "hole", data[:at] + bytes(min(64, len(data) - at)) + data[at + 64 :]
  yield "doubled", data + data
  yield "head", flip_bits(data[:64], rng, 3) + data[64:]
