"""The arrays of Keras' layers: 'layer/variable', in the layout of Keras 2.

Kernels have our order already, but for the depthwise ones. These files have
keras.applications' published weights, and `model.save_weights("x.h5")` of
Keras 2 and `model.save("x.h5")` of Keras 3 write them. (`.weights.h5` of Keras
3 has numbers instead of names: `convert` says so.)
"""

from __future__ import annotations

from jaxseg.weights.rule import Rule

TAIL = r"(?::0)?"  # TensorFlow's number of the output
# What keras.applications has called its last layer over time.
HEADS = r"(?:predictions|probs|Logits)"


def layer(prefix: str, name: str, *, counted: bool = True) -> str:
  """The pattern of all that stands before a layer's variable.

  Args:
    prefix: see `RULES`.
    name: of the layer, a pattern.
    counted: a number may follow, which Keras 2 appended in a process that had
      built such a network before: 'block1_conv1_16/kernel'.

  The name may stand there twice, as in the file: 'layer/layer/kernel:0'.
  """
  return rf"{prefix}{name}{r'(?:_[0-9]+)?' if counted else ''}/(?:[^/]+/)?"


def conv(source: str, target: str) -> tuple[Rule, ...]:
  """Kernel and (where there is one) bias."""
  return (
    Rule(
      rf"{source}(?P<variable>kernel|bias){TAIL}",
      rf"params/{target}/\g<variable>",
    ),
  )


def depthwise(source: str, target: str) -> tuple[Rule, ...]:
  """Keras 3 calls it kernel, as that of any convolution."""
  return (
    Rule(
      rf"{source}(?:depthwise_)?kernel{TAIL}",
      f"params/{target}/kernel",
      "keras_depthwise",
    ),
  )


def separable(source: str, target: str) -> tuple[Rule, ...]:
  """Both kernels of a SeparableConv2D: depthwise and pointwise."""
  into = f"params/{target}"
  return (
    Rule(
      rf"{source}depthwise_kernel{TAIL}",
      f"{into}/depthwise/kernel",
      "keras_depthwise",
    ),
    Rule(rf"{source}pointwise_kernel{TAIL}", f"{into}/pointwise/kernel"),
  )


def norm(source: str, target: str) -> tuple[Rule, ...]:
  """The four arrays of a BatchNormalization."""
  return (
    Rule(rf"{source}gamma{TAIL}", f"params/{target}/scale"),
    Rule(rf"{source}beta{TAIL}", f"params/{target}/bias"),
    Rule(rf"{source}moving_mean{TAIL}", f"batch_stats/{target}/mean"),
    Rule(rf"{source}moving_variance{TAIL}", f"batch_stats/{target}/var"),
  )


def head(prefix: str, keep: bool) -> tuple[Rule, ...]:
  """The classifier's dense layer as a 1x1 convolution, or dropped."""
  source = layer(prefix, HEADS)
  if not keep:
    return (Rule(rf"{source}(?:kernel|bias){TAIL}", ""),)
  return (
    Rule(rf"{source}kernel{TAIL}", "params/fc/kernel", "keras_dense_conv"),
    Rule(rf"{source}bias{TAIL}", "params/fc/bias"),
  )
