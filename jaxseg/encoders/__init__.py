"""Encoders by name: `ENCODERS[name](**fields)` builds a Linen module.

`encoder(image, train=) -> {'c1': ..., 'c5': ...}`: RGB in [0, 1] in, maps of
stride 2, 4 ... out. Each holds its own normalisation of the image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from flax import linen as nn

from jaxseg.encoders.normalization import NORMALIZATIONS, Normalization
from jaxseg.encoders.vgg import VGG, VGGClassifier

__all__ = [
  "ENCODERS",
  "NORMALIZATIONS",
  "VGG",
  "Normalization",
  "VGGClassifier",
]

ENCODERS: dict[str, Callable[..., nn.Module]] = {
  "vgg16": functools.partial(VGG, layers=16),
  "vgg16_bn": functools.partial(VGG, layers=16, batch_norm=True),
  "vgg19": functools.partial(VGG, layers=19),
  "vgg19_bn": functools.partial(VGG, layers=19, batch_norm=True),
}
