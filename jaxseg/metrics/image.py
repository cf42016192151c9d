"""Quality of predicted images: PSNR and SSIM, as means over the images.

SSIM: Wang, Bovik, Sheikh, Simoncelli 2004 (doi:10.1109/TIP.2003.819861), with
their Gaussian window or a uniform one; both as scikit-image has them. Images
are float (b, h, w, c) in [0, 1], so that the range of the data is 1.

Differs from the paper: images smaller than the window are seen through the
largest odd window that fits; colours are scored channel by channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact

Array = jax.Array
BEST_DB = 100.0  # PSNR of images that are equal, or nearly
WINDOWS = {"gaussian": 11, "uniform": 7}
SIGMA = 1.5


def psnr(pred: Array, true: Array) -> Array:
  """Peak signal-to-noise ratio of each image in dB: (b,), at most 100.

  10 log10(1 / mean squared error). Equal images would have an infinite one,
  and one such image would make the mean of a set infinite.
  """
  _check(pred, true)
  error = pred.astype(jnp.float32) - true.astype(jnp.float32)
  mse = jnp.mean(error**2, (1, 2, 3))
  return -10 * jnp.log10(jnp.maximum(mse, 10 ** (-BEST_DB / 10)))


def ssim(pred: Array, true: Array, window: str = "gaussian") -> Array:
  """Structural similarity of each image: (b,), 1 for equal images.

  The mean over channels and over all windows that lie inside the image, with
  K1 = 0.01 and K2 = 0.03.

  Args:
    pred: (b, h, w, c) in [0, 1].
    true: the same.
    window: 'gaussian', 11 pixels wide with sigma 1.5 (the paper), or
      'uniform', 7 pixels wide with sample variances.

  Raises:
    ValueError: shapes differ or the window is unknown.
  """
  _check(pred, true)
  if window not in WINDOWS:
    raise ValueError(f"window={window!r}; expected 'gaussian' or 'uniform'.")
  taps = [_taps(window, n) for n in pred.shape[1:3]]
  x, y = pred.astype(jnp.float32), true.astype(jnp.float32)
  means = jnp.concatenate([x, y, x * x, y * y, x * y], -1)
  for axis, weights in zip((1, 2), taps):
    means = _slide(means, axis, weights)  # (b, h', w', 5 c)
  mx, my, xx, yy, xy = jnp.split(means, 5, -1)
  pixels = len(taps[0]) * len(taps[1])
  sample = window == "uniform" and pixels > 1
  norm = pixels / (pixels - 1) if sample else 1.0
  vx, vy, cov = norm * (xx - mx**2), norm * (yy - my**2), norm * (xy - mx * my)
  c1, c2 = 0.01**2, 0.03**2
  top = (2 * mx * my + c1) * (2 * cov + c2)
  bottom = (mx**2 + my**2 + c1) * (vx + vy + c2)
  return jnp.mean(top / bottom, (1, 2, 3))


def _taps(window: str, n: int) -> np.ndarray:
  """Weights along one axis of n pixels; they sum to one."""
  width = min(WINDOWS[window], n - 1 + n % 2)
  at = np.arange(width) - width // 2
  taps = np.exp(-(at**2) / (2 * SIGMA**2)) if window == "gaussian" else at**0
  return (taps / taps.sum()).astype(np.float32)


def _slide(x: Array, axis: int, taps: np.ndarray) -> Array:
  """Weighted sums of neighbours along an axis, where all of them exist."""
  n = x.shape[axis] - len(taps) + 1
  parts = [
    jax.lax.slice_in_dim(x, i, i + n, axis=axis) * float(weight)
    for i, weight in enumerate(taps)
  ]
  return sum(parts[1:], parts[0])


def _check(pred: Array, true: Array) -> None:
  if pred.shape != true.shape or pred.ndim != 4:
    raise ValueError(
      f"prediction {pred.shape} and image {true.shape}: expected equal shapes"
      " (b, h, w, c)."
    )


def mean_over_images(
  scores: Callable[[Mapping[str, Array], types.Batch], Mapping[str, Array]],
  names: tuple[str, ...],
  result: Callable[[dict[str, float]], dict[str, float]] = dict,
) -> types.Metric:
  """Means of what each real image scores.

  Args:
    scores: (pred, batch) -> {name: (b,)}.
    names: of the scores.
    result: of the means, for what follows from them.

  Result: the means; NaN if there was no image.
  """

  def init() -> exact.Sums:
    return exact.zero_sums((len(names) + 1,))

  def update(
    state: exact.Sums, pred: Mapping[str, Array], batch: types.Batch
  ) -> exact.Sums:
    values = scores(pred, batch)
    rows = jnp.stack(
      [jnp.ones_like(values[names[0]])] + [values[name] for name in names]
    )  # (n + 1, b)
    real = batch.get("_mask")
    if real is not None:
      rows = jnp.where(real.astype(bool), rows, 0.0)
    return exact.add_sums(state, jnp.sum(rows, 1))

  def finish(state: exact.Sums) -> dict[str, float]:
    count, *sums = exact.read_sums(state)
    means = {k: v / count if count else np.nan for k, v in zip(names, sums)}
    return result({k: float(v) for k, v in means.items()})

  return types.Metric(init, update, finish)


def image(
  *, key: str = "image", before: str | None = None, window: str = "gaussian"
) -> types.Metric:
  """PSNR and SSIM of pred['image'] against batch[key], (b, h, w, c).

  Args:
    key: of the truth.
    before: key of the image that was to be improved, if there is one.
    window: see `ssim`.

  Result: 'psnr' in dB and 'ssim', means over the images; with `before` also
  its 'psnr_before' and 'psnr_gain' = psnr - psnr_before.
  """

  def scores(pred, batch):
    true, said = batch[key], pred["image"]
    out = {"psnr": psnr(said, true), "ssim": ssim(said, true, window)}
    if before is not None:
      out["psnr_before"] = psnr(batch[before], true)
    return out

  def result(means):
    if before is None:
      return means
    return {**means, "psnr_gain": means["psnr"] - means["psnr_before"]}

  names = ("psnr", "ssim") + (("psnr_before",) if before else ())
  return mean_over_images(scores, names, result)
