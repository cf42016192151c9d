"""A Ctrl-C that comes where Python would lose it, in real processes."""

import subprocess
import sys

import pytest

from tests import cli

BEGIN = """
import gc, os, signal, sys, threading, time
from jaxseg import keyboard
signal.signal(signal.SIGINT, signal.default_int_handler)

def press(*unused):
  if press.times:
    press.times -= 1
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # here the handler runs

def run(work):
  try:
    with keyboard.heard():
      work()
      until = time.time() + 5
      while time.time() < until:
        sum(range(1000))
    print("lost")
  except KeyboardInterrupt:
    time.sleep(2 * keyboard.AGAIN_S)
    print("came")
    os._exit(keyboard.STATUS)
"""
PLAIN = "press.times = 1; run(press)"
IN_COLLECTION = """
press.times = 1
gc.callbacks.append(press)
run(gc.collect)
"""
IN_FINALIZER = """
class Held:
  def __del__(self):
    press()
press.times = 1
run(Held)
"""
TWICE = """
gc.disable()
press.times = 2
gc.callbacks.append(lambda phase, info: press())
run(gc.collect)
"""


def python(code):
  return subprocess.run(
    [sys.executable, "-c", BEGIN + code],
    cwd=cli.ROOT,
    capture_output=True,
    text=True,
    timeout=30,
  )


@pytest.mark.parametrize(
  "code",
  [PLAIN, IN_COLLECTION, IN_FINALIZER, TWICE],
  ids=["plain", "collection", "finalizer", "twice"],
)
def test_arrives(code):
  done = python(code)
  assert (done.stdout, done.returncode) == ("came\n", 130), done.stderr
  assert done.stderr == ""


def test_without_it_python_loses_the_key():
  done = python(
    "keyboard.heard = __import__('contextlib').nullcontext\n" + IN_COLLECTION
  )
  assert done.stdout == "lost\n"
  assert "Exception ignored in" in done.stderr


def test_all_is_as_it_was_afterwards():
  done = python("""
def now():
  signals = map(signal.getsignal, (signal.SIGINT, signal.SIGALRM))
  return sys.unraisablehook, *signals

before = now()
with keyboard.heard():
  print(*(a is b for a, b in zip(before, now())))
print(now() == before)
""")
  assert done.stdout == "False False False\nTrue\n", done.stderr


def test_other_unraisables_are_still_told():
  done = python("""
class Broken:
  def __del__(self):
    raise ValueError("said")
with keyboard.heard():
  Broken()
""")
  assert "ValueError: said" in done.stderr


def test_a_key_that_is_ignored_stays_ignored():
  done = python("""
signal.signal(signal.SIGINT, signal.SIG_IGN)
with keyboard.heard():
  os.kill(os.getpid(), signal.SIGINT)
  print("on")
""")
  assert (done.stdout, done.returncode) == ("on\n", 0)
