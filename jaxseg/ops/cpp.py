"""A file of C++, with the headers beside it, compiled where it is first wanted.

JAX's wheels carry the headers of XLA's foreign functions, so that a compiler is
all that is wanted: $CXX, g++, clang++ or c++. The library is kept in
~/.cache/jaxseg/kernels under a name that tells source, compiler, flags and
version of jaxlib, and lies there whole or not at all. Flags name the vectors of
the processor, not 'native': a home directory may serve several machines.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

import jax

FLAGS = (
  "-std=c++17",
  "-O3",
  "-fPIC",
  "-shared",
  "-ffp-contract=fast",
  "-w",
)
AVX2 = ("avx2", "fma")
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
SECONDS = 120  # that a compiler may take


class Missing(Exception):
  """Why there is no library, as part of a sentence."""


def vectors() -> tuple[str, ...]:
  """Flags for the vectors of this processor.

  Raises:
    Missing: it has none that the code is written for.
  """
  facts = pathlib.Path("/proc/cpuinfo")
  if platform.machine() != "x86_64" or not facts.exists():
    raise Missing("it needs Linux and an x86 processor")
  has = set(facts.read_text().split())
  if not has.issuperset(AVX2):
    raise Missing("it needs a processor with AVX2 and FMA")
  flags = [f"-m{name}" for name in AVX2]
  if has.issuperset(AVX512):
    flags += [f"-m{name}" for name in AVX512]
    flags.append("-mprefer-vector-width=512")
  return tuple(flags)


def compiler() -> str:
  """Path of the C++ compiler.

  Raises:
    Missing: there is none.
  """
  for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
    if name and (path := shutil.which(name)):
      return path
  raise Missing("it needs a C++ compiler: install g++ or set CXX")


def folder() -> pathlib.Path:
  """Where libraries are kept."""
  return pathlib.Path("~/.cache/jaxseg/kernels").expanduser()


def digest(source: pathlib.Path, *more: str) -> str:
  """Sixteen hexadecimal digits of a source, its headers and `more`."""
  texts = [f.read_text() for f in (source, *sorted(source.parent.glob("*.h")))]
  facts = "\0".join((*texts, jax.lib.__version__, *more))
  return hashlib.sha256(facts.encode()).hexdigest()[:16]


def build(source: pathlib.Path, to: pathlib.Path, flags: tuple[str, ...]):
  """Compiles `source` to the shared library `to`.

  Raises:
    Missing: the compiler failed; its first error is in the message.
  """
  to.parent.mkdir(parents=True, exist_ok=True)
  part = to.with_name(f"{to.name}.{os.getpid()}.part")
  command = [compiler(), *FLAGS, *flags, f"-I{jax.ffi.include_dir()}"]
  try:
    done = subprocess.run(
      [*command, str(source), "-o", str(part)],
      capture_output=True,
      text=True,
      timeout=SECONDS,
      check=False,
    )
    if done.returncode:
      lines = done.stderr.splitlines() or [f"exit status {done.returncode}"]
      error = next((line for line in lines if "error" in line), lines[-1])
      raise Missing(f"{command[0]} failed: {error.strip()}")
    os.replace(part, to)
  except subprocess.TimeoutExpired:
    raise Missing(f"{command[0]} took more than {SECONDS} s") from None
  finally:
    part.unlink(missing_ok=True)


@functools.cache
def load(source: pathlib.Path) -> ctypes.CDLL:
  """The library of a source file, built if it is not there yet.

  Raises:
    Missing: it cannot be had here.
  """
  flags = vectors()
  name = f"{source.stem}-{digest(source, compiler(), *FLAGS, *flags)}.so"
  try:
    path = folder() / name
    if not path.exists():
      build(source, path, flags)
    return ctypes.CDLL(str(path))
  except (OSError, RuntimeError) as e:
    problem = e  # no home, nothing can be written there, or loaded from there
  try:
    with tempfile.TemporaryDirectory(prefix="jaxseg-") as other:
      build(source, pathlib.Path(other) / name, flags)
      return ctypes.CDLL(str(pathlib.Path(other) / name))
  except OSError:
    raise Missing(f"its library cannot be kept or loaded: {problem}") from None
