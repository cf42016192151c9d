"""Denoising: a clean image from a noisy one, in [0, 1] RGB.

Vincent et al. 2010 (JMLR 11): the network sees a corrupted image, the truth
is the clean one. The noise is made here: on the device, from the key of the
step and the id of the example, so evaluations see the same noise again. Files
to predict are taken as they are: they bring noise of their own.
With `residual` the network says what to take away (DnCNN: Zhang, Zuo, Chen,
Meng, Zhang 2017, arXiv:1608.03981).

Differs from the papers: any network and loss; one level of noise; with hidden
patches all pixels train, not only those that were hidden.
Pixels that 'pad' or 'crop' fill up count like others: choose sizes that the
images have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import IMAGE_LOSSES
from jaxseg.metrics import image as image_metric
from jaxseg.ops import noise as noise_ops
from jaxseg.types import Array, Batch, Mean, Metric, Outputs, UserError

NOISES = {
  "gaussian": noise_ops.gaussian,
  "salt_pepper": noise_ops.salt_pepper,
  "pixels": noise_ops.hide_pixels,
  "patches": noise_ops.hide_patches,
}
LEVELS = {
  "gaussian": 25 / 255,
  "salt_pepper": 0.1,
  "pixels": 0.25,
  "patches": 0.75,
}
PATCH = 16


@dataclasses.dataclass(frozen=True)
class Denoising:
  """See the module. Implements types.Task.

  Attributes:
    noise: 'gaussian', 'salt_pepper', 'pixels' or 'patches' (hidden ones).
    level: standard deviation in units of [0, 1], such as 25/255, or the share
      of pixels or patches; None: LEVELS.
    patch: pixels a side, of 'patches' alone; None: 16.
    residual: the network predicts the noise instead of the image.
    losses: ((name in IMAGE_LOSSES, weight, ((option, value), ...)), ...).
  """

  noise: str = "gaussian"
  level: float | None = None
  patch: int | None = None
  residual: bool = False
  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("l2", 1.0, ()),
  )

  name = "denoising"
  best = ("psnr", "max")
  blended = "value"
  registry = IMAGE_LOSSES
  alters = True

  def __post_init__(self):
    if self.noise not in NOISES:
      raise UserError(
        f"config.task.noise = {self.noise!r} is not known: expected one of "
        f"{', '.join(NOISES)}."
      )
    if self.level is not None and not 0 <= self.level <= 1:
      raise UserError(
        f"config.task.level = {self.level}: expected a number in [0, 1], for "
        "images lie there: 25/255, not 25."
      )
    if self.patch is not None and (self.noise != "patches" or self.patch < 1):
      raise UserError(
        f"config.task.patch = {self.patch}: expected at least 1, and "
        f"config.task.noise = 'patches', not {self.noise!r}."
      )

  @property
  def outputs(self) -> dict[str, int]:
    """One head: RGB, or the noise of each channel."""
    return {"image": 3}

  @property
  def fields(self) -> tuple[str, ...]:
    """The image is its own truth."""
    return ()

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Adds 'noisy'; `image` stays clean."""
    clean = batch["image"]
    ids = batch["_id"] if "_id" in batch else jnp.arange(clean.shape[0])
    level = LEVELS[self.noise] if self.level is None else self.level
    options = {"side": self.patch or PATCH} if self.noise == "patches" else {}

    def noise(key, image):
      return NOISES[self.noise](key, image, level, **options)

    return {**batch, "noisy": noise_ops.corrupt(key, clean, ids, noise)}

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The noisy image; an image that nobody prepared is taken as it is."""
    return (batch["noisy"] if "noisy" in batch else batch["image"],)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, between the answer and the clean image."""
    said = out["image"].astype(jnp.float32)
    restored = batch["noisy"] - said if self.residual else said
    return {
      name: IMAGE_LOSSES[name](
        restored, batch["image"], mask=batch.get("_mask"), **dict(options)
      ).scaled(factor)
      for name, factor, options in self.losses
    }

  def predict(self, out: Outputs) -> dict[str, Array]:
    """image float32 (b, h, w, 3); with `residual` noise, for `compose`."""
    return {"noise" if self.residual else "image": out["image"]}

  def compose(
    self, pred: Mapping[str, Array], image: Array
  ) -> dict[str, Array]:
    """image float32 (b, h, w, 3) in [0, 1]."""
    restored = image - pred["noise"] if self.residual else pred["image"]
    return {"image": jnp.clip(restored, 0.0, 1.0)}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Images are averaged as they are."""
    return dict(out)

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Images are averaged as they are."""
    return dict(out)

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return {key: jnp.flip(value, axis=2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """PSNR and SSIM, the noisy image's PSNR, and what was gained in dB."""
    return {"image": image_metric(before="noisy")}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """The clean image, the answer, and where the two differ."""
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
