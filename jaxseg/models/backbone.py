"""What networks on an encoder share: fitting the encoder, heads, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import jax
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers, types
from jaxseg.ops import resize
from jaxseg.ops.grown import Grown

Array = jax.Array


def fit(encoder: nn.Module, name: str, stride: int, dtype: str) -> nn.Module:
  """The encoder with the output stride and the dtype that a network wants.

  Raises:
    UserError: it has no dilated mode, or is no encoder.
  """
  if not isinstance(encoder, nn.Module):
    raise types.UserError(
      f"model '{name}' got encoder={encoder!r}; expected a module, such as"
      " ENCODERS['resnet50']()."
    )
  fields = {"dtype": dtype} if encoder.dtype != dtype else {}
  if getattr(encoder, "output_stride", 32) != stride:
    if not hasattr(encoder, "output_stride"):
      raise types.UserError(
        f"model '{name}' wants an encoder of output stride {stride};"
        f" {type(encoder).__name__} has stride 32 only, since its poolings"
        " cannot become dilations: take an encoder that dilates, such as"
        " resnet50, or a decoder that does not ask for it, such as unet."
      )
    fields["output_stride"] = stride
  return encoder.clone(**fields) if fields else encoder


def settle(model: nn.Module, name: str, stride: int) -> None:
  """For __post_init__: hashable outputs, the encoder fitted."""
  object.__setattr__(model, "outputs", FrozenDict(model.outputs))
  encoder = fit(model.encoder, name, stride, model.dtype)
  object.__setattr__(model, "encoder", encoder)


def check_maps(
  maps: Mapping[str, Array],
  levels: Iterable[int],
  size: tuple[int, int],
  output_stride: int,
  name: str,
) -> None:
  """Raises UserError unless map c_k has size / 2^k pixels, for the levels.

  `size` is that of an image that the output stride divides; no stride exceeds
  the output stride.
  """
  for level in levels:
    stride = min(2**level, output_stride)
    want = (size[0] // stride, size[1] // stride)
    found = maps[f"c{level}"].shape[1:3] if f"c{level}" in maps else None
    if found is None:
      raise types.UserError(
        f"model '{name}' needs a map c{level} of stride {stride}; this encoder"
        f" has {', '.join(sorted(maps))} only: take one that has it, such as"
        " resnet50."
      )
    if found != want:
      raise types.UserError(
        f"model '{name}' needs a map c{level} of {want[0]} x {want[1]} from an"
        f" image of {size[0]} x {size[1]}; this encoder gives {found}: take"
        " one whose layers are padded, such as resnet50."
      )


def pad_to_grid(image: Array, stride: int) -> Array:
  """Repeats the last row and column up to sizes of stride * m + 1.

  Strided maps of such an image have their corner pixels on its corners, as
  resizing with aligned corners takes it.
  """
  bottom, right = ((-(n - 1)) % stride for n in image.shape[1:3])
  return resize.pad_edge(image, bottom, right)


def grown(
  out: Mapping[str, Array],
  size: tuple[int, int],
  crop: tuple[int, int] | None = None,
  *,
  align_corners: bool = False,
  later: bool = False,
) -> dict[str, Array]:
  """Every map bilinearly to `size`, then its first `crop` pixels.

  With `later` the maps stay small and are ops.grown.Grown, where they grow.
  """
  maps = {
    name: Grown(x, tuple(size), tuple(crop or size), align_corners)
    for name, x in out.items()
  }
  return {
    name: x if later and x.small.shape[1:3] != x.size else x.whole()
    for name, x in maps.items()
  }


class FCNHead(nn.Module):
  """3x3 convolution, normalisation, ReLU, dropout, one 1x1 per output.

  Args:
    outputs: head name -> channels.
    width: channels of the 3x3; None: a quarter of the map's.
    dropout: rate.
    dtype: compute dtype.
  """

  outputs: Mapping[str, int]
  width: int | None = None
  dropout: float = 0.1
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) -> {head: (b, h, w, channels)} float32."""
    width = self.width or max(x.shape[-1] // 4, 1)
    x = layers.ConvNormAct(width, dtype=self.dtype, name="conv")(x, train=train)
    drop = nn.Dropout(self.dropout, deterministic=not train, name="drop")
    return layers.heads(drop(x), self.outputs)


def auxiliary(
  model: nn.Module, x: Array, width: int | None, train: bool
) -> dict[str, Array]:
  """{'aux_' + head: ...} of an FCN head in training, {} otherwise.

  Call inside a compact method of a network with `outputs` and `dtype`. The
  parameters are there from the start, whatever `train` is then.
  """
  if not (train or model.is_initializing()):
    return {}
  head = FCNHead(model.outputs, width, dtype=model.dtype, name="aux")
  out = head(x, train=train)
  return {f"aux_{name}": y for name, y in out.items()} if train else {}
