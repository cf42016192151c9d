"""VGG of torchvision (with and without batch normalisation) and of Keras."""

from __future__ import annotations

from collections.abc import Mapping

from jaxseg.weights import rule as r
from jaxseg.weights.rules import keras_layers

STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def rules(
  prefix: str = "",
  target: str = "",
  *,
  layers: int = 16,
  batch_norm: bool = False,
  classifier: bool = False,
) -> tuple[r.Rule, ...]:
  """See `RULES` for the arguments; fc6, fc7, fc8 are the classifier's.

  The source numbers convolutions, normalisations, ReLUs and poolings in one
  sequence.
  """
  out, child = [], 0
  for stage, depth in enumerate(STAGES[layers], 1):
    for i in range(1, depth + 1):
      at, name = rf"{prefix}features\.", f"{stage}_{i}"
      out += r.conv(rf"{at}{child}", f"{target}conv{name}")
      if batch_norm:
        norm = f"{target}norm{name}"
        out += r.batch_norm(rf"{at}{child + 1}", norm)
      child += 3 if batch_norm else 2
    child += 1  # the pooling
  ops = {0: "dense_7x7", 3: "dense_conv", 6: "dense_conv"}
  return (*out, *dense(prefix, ops, classifier))


def keras(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[r.Rule, ...]:
  """keras.applications' VGG16 and VGG19; see `RULES`.

  The published files are of Keras 1, whose arrays repeat the layer's name:
  'block1_conv1/block1_conv1_W_1'.
  """
  out = []
  for name, path, op in (
    (r"block(\d)_conv(\d)", rf"{target}conv\1_\2", "keep"),
    ("fc1", "fc6", "keras_dense_7x7"),
    ("fc2", "fc7", "keras_dense_conv"),
    (keras_layers.HEADS, "fc8", "keras_dense_conv"),
  ):
    source, tail = keras_layers.layer(prefix, name), keras_layers.TAIL
    kept = classifier or op == "keep"
    into = f"params/{path}"
    out += (
      r.Rule(
        rf"{source}(?:kernel|[^/]+_W(?:_\d+)?){tail}",
        f"{into}/kernel" if kept else "",
        op,
      ),
      r.Rule(
        rf"{source}(?:bias|[^/]+_b(?:_\d+)?){tail}",
        f"{into}/bias" if kept else "",
      ),
    )
  return tuple(out)


def dense(
  prefix: str, ops: Mapping[int, str], keep: bool
) -> tuple[r.Rule, ...]:
  """Children of the 'classifier' sequence -> fc6, fc7 and fc8, or dropped."""
  if not keep:
    return (r.Rule(rf"{prefix}classifier\.\d\.(weight|bias)", ""),)
  return tuple(
    rule
    for name, (child, op) in zip(("fc6", "fc7", "fc8"), ops.items())
    for rule in r.conv(rf"{prefix}classifier\.{child}", name, op)
  )
