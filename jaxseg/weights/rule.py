"""Renaming rules: from a published checkpoint's names to ours, as data.

A rule is (regular expression on the whole source name, target path, operation
on the array). The first rule that matches decides; a name that no rule matches
is an error, and so are two names that land on one path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxseg.types import UserError


def _conv(x: np.ndarray) -> np.ndarray:
  """torch (out, in, kh, kw) -> (kh, kw, in, out); grouped, depthwise alike."""
  return x.transpose(2, 3, 1, 0)


def _conv_transpose(x: np.ndarray) -> np.ndarray:
  """torch (in, out, kh, kw) -> (kh, kw, in, out), turned by 180 degrees."""
  return x.transpose(2, 3, 0, 1)[::-1, ::-1]


def _dense(x: np.ndarray) -> np.ndarray:
  """torch (out, in) -> (in, out)."""
  return x.transpose(1, 0)


def _dense_conv(x: np.ndarray) -> np.ndarray:
  """torch (out, in) -> a 1x1 convolution (1, 1, in, out)."""
  return x.transpose(1, 0)[None, None]


def _dense_6x6(x: np.ndarray) -> np.ndarray:
  """torch (out, c * 6 * 6) of a flattened (c, 6, 6) map -> (6, 6, c, out)."""
  return x.reshape(x.shape[0], -1, 6, 6).transpose(2, 3, 1, 0)


def _dense_7x7(x: np.ndarray) -> np.ndarray:
  """torch (out, c * 7 * 7) of a flattened (c, 7, 7) map -> (7, 7, c, out)."""
  return x.reshape(x.shape[0], -1, 7, 7).transpose(2, 3, 1, 0)


def _keras_depthwise(x: np.ndarray) -> np.ndarray:
  """Keras (kh, kw, c, 1) -> (kh, kw, 1, c)."""
  return x.transpose(0, 1, 3, 2)


def _keras_dense_7x7(x: np.ndarray) -> np.ndarray:
  """Keras (7 * 7 * c, out) of a flattened (7, 7, c) map -> (7, 7, c, out)."""
  return x.reshape(7, 7, -1, x.shape[1])


def _keras_dense_conv(x: np.ndarray) -> np.ndarray:
  """Keras (in, out) -> a 1x1 convolution (1, 1, in, out)."""
  return x[None, None]


OPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  "keep": lambda x: x,
  "conv": _conv,
  "conv_transpose": _conv_transpose,
  "dense": _dense,
  "dense_conv": _dense_conv,
  "dense_6x6": _dense_6x6,
  "dense_7x7": _dense_7x7,
  "keras_depthwise": _keras_depthwise,
  "keras_dense_7x7": _keras_dense_7x7,
  "keras_dense_conv": _keras_dense_conv,
}


class Rule(NamedTuple):
  """One rule.

  Fields: pattern, matched against the whole source name; target, a path such
  as 'params/stem/conv/kernel' with \\1 ... for groups of the pattern ('' drops
  the array); op, a name in OPS.
  """

  pattern: str
  target: str
  op: str = "keep"


def batch_norm(source: str, target: str) -> tuple[Rule, ...]:
  """The five arrays of a torch BatchNorm: pattern and path of the module."""
  return (
    Rule(rf"{source}\.weight", f"params/{target}/scale"),
    Rule(rf"{source}\.bias", f"params/{target}/bias"),
    Rule(rf"{source}\.running_mean", f"batch_stats/{target}/mean"),
    Rule(rf"{source}\.running_var", f"batch_stats/{target}/var"),
    Rule(rf"{source}\.num_batches_tracked", ""),
  )


def conv(source: str, target: str, op: str = "conv") -> tuple[Rule, ...]:
  """Kernel and (where there is one) bias of a torch convolution."""
  return (
    Rule(rf"{source}\.weight", f"params/{target}/kernel", op),
    Rule(rf"{source}\.bias", f"params/{target}/bias"),
  )


def rename(
  rules: Sequence[Rule], tensors: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Source name -> array becomes path -> array.

  Raises:
    UserError: a name that no rule knows, or two names for one path.
  """
  out: dict[str, np.ndarray] = {}
  origin: dict[str, str] = {}
  unknown = []
  # The module's own cache of patterns is smaller than some sets of rules.
  compiled = [(re.compile(rule.pattern), rule) for rule in rules]
  for name, array in tensors.items():
    for pattern, rule in compiled:
      found = pattern.fullmatch(name)
      if not found:
        continue
      path = found.expand(rule.target)
      if path:
        if path in out:
          raise UserError(
            f"{origin[path]!r} and {name!r} both become {path!r}: these are "
            "the weights of another network than the rules are for."
          )
        out[path], origin[path] = OPS[rule.op](np.asarray(array)), name
      break
    else:
      unknown.append(name)
  if unknown:
    raise UserError(
      f"{len(unknown)} of {len(tensors)} names of the checkpoint are not known "
      f"to the rules, such as {', '.join(unknown[:3])}: name the network that "
      "it was trained for."
    )
  return out
