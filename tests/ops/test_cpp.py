"""Compiling C++ where it is first wanted, and where it cannot be."""

import os
import pathlib
import stat

import pytest

from jaxseg.ops import cpp

SOURCE = 'extern "C" int seven() { return 7; }\n'


@pytest.fixture
def source(tmp_path, monkeypatch):
  """A file of its own, and a folder for its library."""
  monkeypatch.setattr(cpp, "folder", lambda: tmp_path / "kernels")
  monkeypatch.setattr(cpp, "vectors", lambda: ())
  path = tmp_path / "seven.cc"
  path.write_text(SOURCE)
  cpp.load.cache_clear()
  yield path
  cpp.load.cache_clear()


def script(path, text):
  path.write_text(f"#!/bin/sh\n{text}\n")
  path.chmod(path.stat().st_mode | stat.S_IXUSR)
  return str(path)


@pytest.fixture
def compiled(monkeypatch):
  try:
    return cpp.compiler()
  except cpp.Missing as e:
    pytest.skip(str(e))


def test_it_is_compiled_once(source, compiled, tmp_path, monkeypatch):
  assert cpp.load(source).seven() == 7
  (kept,) = (tmp_path / "kernels").iterdir()
  before = kept.stat().st_mtime_ns
  cpp.load.cache_clear()
  monkeypatch.setattr(cpp, "build", None)  # would fail
  assert cpp.load(source).seven() == 7
  assert kept.stat().st_mtime_ns == before


def test_another_source_is_another_library(source, compiled, tmp_path):
  cpp.load(source)
  source.write_text(SOURCE.replace("7", "8"))
  cpp.load.cache_clear()
  assert cpp.load(source).seven() == 8
  assert len(list((tmp_path / "kernels").iterdir())) == 2


def test_another_header_is_another_library(source, compiled, tmp_path):
  """Of those beside it, which it may read."""
  header = source.with_name("number.h")
  source.write_text('#include "number.h"\n' + SOURCE.replace("7", "NUMBER"))
  for number in (3, 4):
    header.write_text(f"#define NUMBER {number}\n")
    cpp.load.cache_clear()
    assert cpp.load(source).seven() == number
  assert len(list((tmp_path / "kernels").iterdir())) == 2


def test_a_folder_that_cannot_be_written(source, compiled, monkeypatch):
  monkeypatch.setattr(cpp, "folder", lambda: pathlib.Path("/proc/none"))
  assert cpp.load(source).seven() == 7


def test_no_home(source, compiled, monkeypatch):
  def folder():
    raise RuntimeError("Could not determine home directory.")

  monkeypatch.setattr(cpp, "folder", folder)
  assert cpp.load(source).seven() == 7


def test_no_compiler(source, monkeypatch):
  monkeypatch.setenv("PATH", "/nowhere")
  monkeypatch.setenv("CXX", "no-such-compiler")
  with pytest.raises(cpp.Missing, match=r"install g\+\+ or set CXX"):
    cpp.load(source)


def test_a_compiler_that_fails(source, tmp_path, monkeypatch):
  says = "echo 'first'; echo 'seven.cc:1: error: no such thing' >&2; exit 1"
  monkeypatch.setenv("CXX", script(tmp_path / "cc", says))
  with pytest.raises(cpp.Missing, match=r"cc failed: .*no such thing"):
    cpp.load(source)
  assert not list((tmp_path / "kernels").iterdir())


def test_a_compiler_that_hangs(source, tmp_path, monkeypatch):
  monkeypatch.setenv("CXX", script(tmp_path / "cc", "exec sleep 60"))
  monkeypatch.setattr(cpp, "SECONDS", 0.2)
  with pytest.raises(cpp.Missing, match=r"took more than 0\.2 s"):
    cpp.load(source)


def test_a_compiler_that_writes_half(source, tmp_path, monkeypatch):
  """What does not load, here and elsewhere, is no library."""
  half = script(tmp_path / "cc", 'while [ "$1" != -o ]; do shift; done; >"$2"')
  monkeypatch.setenv("CXX", half)
  with pytest.raises(cpp.Missing, match="cannot be kept or loaded"):
    cpp.load(source)


def test_vectors(monkeypatch):
  names = set(cpp.vectors())
  assert {"-mavx2", "-mfma"} <= names
  monkeypatch.setattr(cpp.platform, "machine", lambda: "riscv64")
  with pytest.raises(cpp.Missing, match="x86"):
    cpp.vectors()
  assert os.path.isabs(cpp.folder())
