"""The fully connected random field, by mean field; jitted, batched.

Kraehenbuehl, Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian
Edge Potentials" (2011, arXiv 1210.5644). Every pair of pixels pays mu(a, b) k
where k = w1 exp(-|dp|^2 / 2 alpha^2 - |dI|^2 / 2 beta^2)
+ w2 exp(-|dp|^2 / 2 gamma^2): the bilateral kernel (`bilateral_*`, beta is
`color_deviation`) and the smoothness kernel (`smooth_*`). All pixels are
updated at once: Q is softmax(-U - sum over kernels of mu K Q).

Differs from the paper in the smoothness kernel, which is separable and
computed exactly, as two matrix products. With 'symmetric' normalisation a
kernel is N^-1/2 K N^-1/2, N its row sums, and i = j takes part, as in the
authors' library; with 'none' it does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.classical.crf import lattice
from jaxseg.types import Array, UserError

Filter = Callable[[Array], Array]  # (b, h, w, c) -> (b, h, w, c)

ROWS = 256  # of the kernel matrix at once, in the exact filter


@dataclasses.dataclass(frozen=True)
class DenseOptions:
  """The field and how it is solved; the defaults are the library's example.

  Attributes:
    iterations: of the mean field.
    bilateral_weight: w1; 0 leaves the kernel out.
    bilateral_deviation: alpha, pixels.
    color_deviation: beta, levels of 255.
    smooth_weight: w2; 0 leaves the kernel out.
    smooth_deviation: gamma, pixels.
    normalization: 'symmetric' or 'none'.
    filter: of the bilateral kernel: 'lattice', or 'exact', whose cost grows
      with the square of the number of pixels.
  """

  iterations: int = 5
  bilateral_weight: float = 10.0
  bilateral_deviation: float = 80.0
  color_deviation: float = 13.0
  smooth_weight: float = 3.0
  smooth_deviation: float = 3.0
  normalization: str = "symmetric"
  filter: str = "lattice"

  def __post_init__(self):
    if self.iterations < 1:
      raise UserError(
        f"crf iterations = {self.iterations}: expected at least 1, such as 5."
      )
    for name in ("bilateral", "color", "smooth"):
      value = getattr(self, f"{name}_deviation")
      if not 0 < value < float("inf"):
        raise UserError(
          f"crf {name}_deviation = {value}: expected more than 0 "
          f"({'levels of 255' if name == 'color' else 'pixels'})."
        )
    for name in ("bilateral", "smooth"):
      value = getattr(self, f"{name}_weight")
      if not 0 <= value < float("inf"):
        raise UserError(
          f"crf {name}_weight = {value}: expected at least 0; 0 leaves the "
          "kernel out."
        )
    for name, known in (
      ("normalization", ("symmetric", "none")),
      ("filter", ("lattice", "exact")),
    ):
      value = getattr(self, name)
      if value not in known:
        raise UserError(
          f"crf {name} = {value!r}: expected {' or '.join(known)}."
        )
    if self.normalization == "none" and self.filter == "lattice":
      raise UserError(
        "crf normalization = 'none' leaves i = j out, which the lattice "
        "cannot: choose filter = 'exact', or normalization = 'symmetric'."
      )


def features(image: Array, options: DenseOptions) -> Array:
  """(b, h, w, 3) in [0, 1] -> (b, h w, 5), centred, in deviations."""
  b, h, w, _ = image.shape
  y = (jnp.arange(h) - (h - 1) / 2) / options.bilateral_deviation
  x = (jnp.arange(w) - (w - 1) / 2) / options.bilateral_deviation
  place = jnp.stack(jnp.meshgrid(y, x, indexing="ij"), -1)
  place = jnp.broadcast_to(place, (b, h, w, 2))
  color = (jnp.clip(image, 0, 1) - 0.5) * (255 / options.color_deviation)
  return jnp.concatenate([place, color], -1).reshape(b, h * w, 5)


def bilateral_filter(image: Array, options: DenseOptions) -> Filter:
  """x -> K x of the bilateral kernel, as it is."""
  b, h, w, _ = image.shape
  points = features(image, options)
  if options.filter == "exact":
    each, prepared = exact_filter, points
  else:
    extent = (h + w) / options.bilateral_deviation
    lattice.check_extent(extent + 3 * 255 / options.color_deviation, 5)
    # One image after the other: each has as many corners as it has.
    each, prepared = lattice.blur, _each(lattice.build, points)

  def run(x):
    flat = x.reshape(b, h * w, x.shape[-1])
    out = _each(lambda pair: each(*pair), (prepared, flat))
    return out.reshape(x.shape)

  return run


def _each(function, batch):
  """lax.map, without the loop where there is one."""
  if jax.tree.leaves(batch)[0].shape[0] == 1:
    one = function(jax.tree.map(lambda x: x[0], batch))
    return jax.tree.map(lambda x: x[None], one)
  return lax.map(function, batch)


def exact_filter(points: Array, x: Array) -> Array:
  """sum_q exp(-|f_p - f_q|^2 / 2) x_q by all pairs: the reference.

  Args:
    points: (n, d) in deviations.
    x: (n, c).
  """
  n, d = points.shape
  blocks = -(-n // ROWS)
  padded = jnp.pad(points, ((0, blocks * ROWS - n), (0, 0)))

  def block(some):  # (ROWS, d) -> (ROWS, c)
    squares = ((some[:, None] - points[None]) ** 2).sum(-1)
    return jnp.dot(jnp.exp(-squares / 2), x, precision=lax.Precision.HIGHEST)

  out = lax.map(block, padded.reshape(blocks, ROWS, d))
  return out.reshape(blocks * ROWS, -1)[:n]


def smooth_filter(height: int, width: int, deviation: float) -> Filter:
  """x -> K x of the smoothness kernel, exact: one product per axis."""

  def kernel(n):
    at = jnp.arange(n, dtype=jnp.float32)
    return jnp.exp(-((at[:, None] - at) ** 2) / (2 * deviation**2))

  rows, columns = kernel(height), kernel(width)

  def run(x):
    high = lax.Precision.HIGHEST
    x = jnp.einsum("yz,bzxc->byxc", rows, x, precision=high)
    return jnp.einsum("xz,byzc->byxc", columns, x, precision=high)

  return run


def normalized(run: Filter, like: Array, how: str) -> Filter:
  """The filter as `normalization` wants it.

  Args:
    run: x -> K x.
    like: (b, h, w, ...), of the size that the filter works at.
    how: 'symmetric' or 'none'.
  """
  if how == "none":
    return lambda x: run(x) - x  # without i = j, where the kernel is 1
  ones = jnp.ones((*like.shape[:3], 1), jnp.float32)
  factor = lax.rsqrt(jnp.maximum(run(ones), 1e-6))
  return lambda x: factor * run(factor * x)


def filters(image: Array, options: DenseOptions) -> dict[str, Filter]:
  """The kernels of a picture whose weights are not 0: 'bilateral', 'smooth'."""
  how, made = options.normalization, {}
  if options.bilateral_weight:
    run = bilateral_filter(image, options)
    made["bilateral"] = normalized(run, image, how)
  if options.smooth_weight:
    run = smooth_filter(*image.shape[1:3], options.smooth_deviation)
    made["smooth"] = normalized(run, image, how)
  return made


def unary_energies(log_probability: Array) -> Array:
  """-log P float32, at most 100; all the same where a pixel has a NaN."""
  energy = -jax.nn.log_softmax(log_probability.astype(jnp.float32), -1)
  broken = jnp.isnan(energy).any(-1, keepdims=True)
  return jnp.where(broken, 0.0, jnp.minimum(energy, 100.0))


def mean_field(
  unary: Array,
  kernels: Sequence[tuple[Filter, Array | float]],
  compatibility: Array | None,
  iterations: int,
) -> Array:
  """-U - messages after some rounds: softmax of it is Q.

  Args:
    unary: (b, h, w, k) energies.
    kernels: filters, each with its weight, a number or one per class.
    compatibility: mu (k, k); None: 1 where labels differ (Potts).
    iterations: from Q = softmax(-U) on.

  Returns:
    float32 (b, h, w, k).
  """

  def step(scores, _):
    q = jax.nn.softmax(scores, -1)
    told = sum(run(q) * weight for run, weight in kernels)
    if compatibility is None:
      # Up to a number per pixel, which the softmax drops.
      told = -told
    else:
      told = jnp.einsum("byxc,ac->byxa", told, compatibility)
    return -unary - told, None

  if not kernels:
    return -unary
  return lax.scan(step, -unary, None, length=iterations)[0]


def refine(
  log_probability: Array,
  image: Array,
  options: DenseOptions | None = None,
  compatibility: Array | None = None,
) -> Array:
  """What a network says of a picture, made to follow its edges.

  Args:
    log_probability: (b, h, w, k), or logits. A pixel with a NaN says nothing.
    image: (b, h, w, 3) in [0, 1], the same size.
    options: the field; None: DenseOptions().
    compatibility: (k, k); None: Potts.

  Returns:
    Q float32 (b, h, w, k), which sums to 1.
  """
  options = options or DenseOptions()
  if log_probability.shape[:3] != image.shape[:3]:
    raise UserError(
      f"the crf got classes of shape {log_probability.shape} and an image of "
      f"{image.shape}: expected the same size."
    )
  kernels = [
    (run, getattr(options, f"{name}_weight"))
    for name, run in filters(image, options).items()
  ]
  unary = unary_energies(log_probability)
  scores = mean_field(unary, kernels, compatibility, options.iterations)
  return jax.nn.softmax(scores, -1)
