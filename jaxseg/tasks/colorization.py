"""Colorization: the colours of a picture from its lightness.

Zhang, Isola, Efros, "Colorful Image Colorization" (2016, arXiv:1603.08511):
the (a, b) of Lab in Q classes, soft truth on the nearest bins, rare colours
weighted up, decoded by the annealed mean. Any network serves: it sees the grey
picture of the same lightness, three equal channels. The answer has the
lightness of the picture at its own size.

Differs from the paper in the table of bins, see ops.color_bins, and without a
`prior` in that all colours weigh the same. Where logits are coarser than the
image the truth is the mean (a, b) of each block of pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import soft_cross_entropy
from jaxseg.metrics import chroma
from jaxseg.metrics import image as image_metric
from jaxseg.ops import color, color_bins, resize
from jaxseg.tasks import auxiliary
from jaxseg.types import Array, Batch, Mean, Metric, Outputs, UserError

STRIDES = (1, 2, 4, 8, 16, 32)
GREY = 5.0  # |a| and |b| of a picture without colours stay below


@dataclasses.dataclass(frozen=True)
class Colorization:
  """See the module. Implements types.Task.

  Attributes:
    grid: side of a bin in units of Lab.
    neighbours: bins that share the truth of a pixel.
    sigma: of the Gaussian that shares it, in units of Lab.
    temperature: of the annealed mean, in (0, 1].
    prior: frequency of each bin in the training set, smoothed; None: no
      rebalancing.
    uniform: the paper's lambda, share of the uniform distribution in it.
    skip_grey: pictures whose |a| and |b| nowhere exceed 5 do not train.
    aux_weight: weight of auxiliary heads.
  """

  grid: float = 10.0
  neighbours: int = 5
  sigma: float = 5.0
  temperature: float = 0.38
  prior: tuple[float, ...] | None = None
  uniform: float = 0.5
  skip_grey: bool = False
  aux_weight: float = 0.4

  name = "colorization"
  best = ("auc", "max")
  blended = "probability"
  alters = True
  coarse = True

  def __post_init__(self):
    for key, low, high in (
      ("grid", 2.0, 50.0),
      ("sigma", 1e-3, 1e3),
      ("temperature", 1e-3, 1.0),
      ("uniform", 0.0, 1.0),
    ):
      value = getattr(self, key)
      if not low <= value <= high:
        raise UserError(
          f"config.task.{key} = {value}: expected a number in [{low:g}, "
          f"{high:g}]."
        )
    q = len(self.bins)
    if not 1 <= self.neighbours <= q:
      raise UserError(
        f"config.task.neighbours = {self.neighbours}: expected 1 to {q}, the "
        "number of bins."
      )
    if self.prior is None:
      return
    sound = len(self.prior) == q and min(self.prior) >= 0
    if not sound or abs(sum(self.prior) - 1) > 1e-3:
      raise UserError(
        f"config.task.prior has {len(self.prior)} numbers with the sum "
        f"{sum(self.prior):g}: expected {q} frequencies that sum to 1, one for "
        f"each bin of config.task.grid = {self.grid:g}."
      )

  @property
  def bins(self) -> np.ndarray:
    """(Q, 2), the table of bins."""
    return color_bins.gamut_bins(self.grid)

  @property
  def outputs(self) -> dict[str, int]:
    """One head of Q logits."""
    return {"logits": len(self.bins)}

  @property
  def fields(self) -> tuple[str, ...]:
    """The image is its own truth."""
    return ()

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Adds 'ab', the colours that are to be found."""
    del key
    return {**batch, "ab": color.rgb_to_lab(batch["image"])[..., 1:]}

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The grey picture; of a grey picture that picture."""
    return (color.grey(batch["image"]),)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """Cross-entropy, and the same again per auxiliary head."""
    ab = batch["ab"]
    colored = (jnp.abs(ab) > GREY).any((1, 2, 3), keepdims=True)[..., 0]
    terms = {}
    heads = auxiliary.heads(out, "logits", self.aux_weight)
    for logits, head_weight, prefix in heads:
      truth = shrink(ab, logits.shape[1:3])
      index, weight = color_bins.soft_encode(
        truth, self.bins, self.neighbours, self.sigma
      )
      scale = valid = None
      if self.prior is not None:
        table = color_bins.rebalancing(np.asarray(self.prior), self.uniform)
        scale = jnp.asarray(table, jnp.float32)[index[..., 0]]
      if self.skip_grey:
        valid = jnp.broadcast_to(colored, logits.shape[:3])
      mean = soft_cross_entropy(
        logits, index, weight, scale=scale, valid=valid, mask=batch.get("_mask")
      )
      terms[f"{prefix}cross_entropy"] = mean.scaled(head_weight)
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """ab float32 (b, h, w, 2), at the size of the logits; for `compose`."""
    return {
      "ab": color_bins.annealed_mean(out["logits"], self.bins, self.temperature)
    }

  def compose(
    self, pred: Mapping[str, Array], image: Array
  ) -> dict[str, Array]:
    """image float32 (b, h, w, 3): the lightness of `image` in these colours."""
    ab = resize.resize_bilinear(pred["ab"], image.shape[1:3])
    lightness = color.rgb_to_lab(image)[..., :1]
    return {"image": color.lab_to_rgb(jnp.concatenate([lightness, ab], -1))}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities: what views of one pixel are averaged in."""
    return {"logits": jax.nn.softmax(out["logits"], -1)}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities back to logits, up to a constant."""
    return {"logits": jnp.log(jnp.maximum(out["logits"], 1e-30))}

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return {key: jnp.flip(value, axis=2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """AuC of the colours, PSNR and SSIM of the coloured picture."""
    return {"chroma": chroma(), "image": image_metric()}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """The picture in its own colours, in those found, and the difference."""
    pictures = {"truth": np.asarray(batch["image"])}
    if "image" in pred:
      pictures["prediction"] = viz.to_bytes(pred["image"])
      pictures["error"] = np.stack(
        [
          viz.image_error(*pair)
          for pair in zip(pictures["prediction"], pictures["truth"])
        ]
      )
    return pictures


def shrink(x: Array, size: tuple[int, int]) -> Array:
  """(b, h, w, c) -> (b, *size, c), the mean of each k x k block of pixels.

  k is a power of two, the stride of the network.

  Raises:
    UserError: no k brings the image to that size, rounded up.
  """
  h, w = x.shape[1:3]
  fits = [k for k in STRIDES if (-(-h // k), -(-w // k)) == tuple(size)]
  if not fits:
    raise UserError(
      f"logits of {size[0]}x{size[1]} pixels do not fit images of {h}x{w}: "
      "expected the size of the image, or a half, a quarter ... of it, rounded "
      "up."
    )
  k = fits[0]
  if k == 1:
    return x
  x = resize.pad_to_stride(x, k)
  blocks = x.reshape(x.shape[0], size[0], k, size[1], k, x.shape[-1])
  return jnp.mean(blocks, (2, 4))
