"""Compiler options: known to this XLA, in force, and without other results."""

import jax
import numpy as np
from jax import lax

from jaxseg import compiling


def convolve(x, kernel):
  return lax.conv_general_dilated(
    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )


def test_convolutions_are_left_to_eigen():
  x = np.random.default_rng(0).normal(size=(2, 33, 40, 32)).astype(np.float32)
  kernel = x[0, :3, :3, None] * np.ones((1, 1, 32, 1), np.float32)
  f = compiling.jit(convolve)
  assert "ynn" not in f.lower(x, kernel).compile().as_text()
  want = jax.jit(convolve)(x, kernel)
  got = f(x, kernel)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)


def test_options_add_up(monkeypatch):
  seen = {}

  def jit(function, **rest):
    seen.update(rest)
    return function

  monkeypatch.setattr(jax, "jit", jit)
  compiling.jit(convolve, donate_argnums=0, compiler_options={"a": 1})
  assert seen.pop("donate_argnums") == 0
  assert seen == {"compiler_options": {**compiling.OPTIONS["cpu"], "a": 1}}
  monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
  compiling.jit(convolve)
  assert seen == {"compiler_options": None}


def test_compilations_are_counted_and_a_second_shape_is_told_once():
  told = []
  counted = compiling.Counted(
    lambda state, batch: {"a": state["a"] + batch["image"].sum()},
    "train step",
    told.append,
  )
  step = compiling.jit(counted, donate_argnums=0)
  state = {"a": jax.numpy.zeros(())}
  for n in (4, 4, 4):
    state = step(state, {"image": np.ones((n, 3), np.float32)})
  assert counted.count == 1
  assert not told
  for n in (2, 4, 2, 3):
    state = step(state, {"image": np.ones((n, 3), np.float32)})
  assert float(state["a"]) == 3 * (4 * 4 + 2 * 2 + 3)
  assert counted.count == 3
  assert len(told) == 1
  assert "image float32 (2, 3) after float32 (4, 3)" in told[0]
  assert "train step is compiled again" in told[0]
