"""A case of every task for its contract: a batch and its perfect answer.

Each function gives (task, batch, which outputs do not count, perfect outputs)
for images (4, 6, 7, 3) or clips of them.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.ops import bins as binning
from jaxseg.ops import color, color_bins
from jaxseg.tasks import (
  Boundaries,
  Clicks,
  Colorization,
  Denoising,
  Depth,
  DepthAdaptive,
  DepthBins,
  DepthOrdinal,
  Keypoints,
  Multi,
  Normals,
  Semantic,
  Superpixels,
  VideoDepth,
)
from jaxseg.types import IGNORE

CLASSES = ("a", "b", "c")
PALETTE = ((9, 0, 0), (0, 9, 0), (0, 0, 9))
LOSSES = (("cross_entropy", 1.0, ()), ("dice", 0.5, ()), ("focal", 1.0, ()))


def semantic(rng, image):
  """(task, batch, which outputs do not count, perfect outputs)."""
  task = Semantic(CLASSES, PALETTE, LOSSES)
  label = rng.integers(0, 3, (4, 6, 7))
  label[0, :2] = IGNORE
  batch = {"label": jnp.asarray(label, jnp.int32)}
  perfect = 40.0 * jax.nn.one_hot(label, 3)
  return task, batch, (label == IGNORE)[..., None], {"logits": perfect}


def depth(rng, image):
  task = Depth(0.5, 60.0, (("l1", 1.0, ()), ("silog", 1.0, ())))
  metres = rng.uniform(1, 50, (4, 6, 7)).astype(np.float32)
  metres[0, :2] = 0  # nothing measured
  metres[1, 0] = 70  # beyond the range
  batch = {"depth": jnp.asarray(metres)}
  safe = np.where(metres > 0, metres, 1)
  z = np.log(safe) - 0.5 * (np.log(0.5) + np.log(60))
  unused = ((metres == 0) | (metres == 70))[..., None]
  return task, batch, unused, {"depth": jnp.asarray(z)[..., None]}


def normals(rng, image):
  losses = (("cosine", 1.0, ()), ("angular", 0.5, ()))
  normal = rng.normal(size=(4, 6, 7, 3))
  normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
  normal = normal.astype(np.float32)
  normal[0, :2] = 0  # no truth
  batch = {"normal": jnp.asarray(normal)}
  # The network's output is added to the wall seen from the front.
  perfect = 8 * jnp.asarray(normal) - jnp.array([0.0, 0.0, -1.0])
  return (
    Normals(losses),
    batch,
    (normal == 0).all(-1)[..., None],
    {"normal": perfect},
  )


def boundaries(rng, image):
  """Some lines that few drew: no matter for training, but drawn."""
  task = Boundaries((("balanced", 1.0, ()), ("focal", 1.0, ())), tolerance=1.0)
  percent = rng.choice([0, 0, 100], (4, 6, 7))
  percent[1] = np.where(rng.random((6, 7)) < 0.3, 20, percent[1])
  perfect = np.where(percent > 0, 20.0, -20.0)
  percent[0, :2] = IGNORE
  unused = (percent == 20) | (percent == IGNORE)
  batch = {"boundary": jnp.asarray(percent, jnp.int32)}
  perfect = jnp.asarray(perfect, jnp.float32)[..., None]
  return task, batch, unused[..., None], {"boundary": perfect}


def denoising(rng, image):
  nothing = np.zeros((4, 6, 7, 1), bool)
  task = Denoising(losses=(("l1", 1.0, ()), ("l2", 1.0, ())))
  return task, {}, nothing, {"image": image}


def colorization(rng, image):
  """Colours at the centres of bins, so that there is a perfect answer."""
  task = Colorization(skip_grey=True)
  lab = np.empty((4, 6, 7, 3), np.float32)
  lab[..., 0] = rng.uniform(55, 65, (4, 6, 7))
  lab[..., 1:] = 10 * rng.integers(-1, 2, (4, 6, 7, 2))
  lab[0, ..., 1:] = 0  # a grey picture
  index, weight = color_bins.soft_encode(lab[..., 1:], task.bins)
  share = (weight[..., None] * jax.nn.one_hot(index, len(task.bins))).sum(-2)
  unused = np.arange(4)[:, None, None, None] + np.zeros((4, 6, 7, 1)) == 0
  batch = {"image": color.lab_to_rgb(lab)}
  return (
    task,
    batch,
    unused,
    {"logits": jnp.log(jnp.maximum(share, 1e-9))},
  )


def centred(task, rng):
  """Depths that are centres of the task's bins; their bins; unused pixels."""
  bins = rng.integers(0, task.bins, (4, 6, 7))
  metres = binning.centres(task.edges)[bins].astype(np.float32)
  metres[0, :2] = 0  # nothing measured
  metres[1, 0] = 70  # beyond the range
  unused = (metres == 0) | (metres == 70)
  return {"depth": jnp.asarray(metres)}, bins, unused[..., None]


def depth_bins(rng, image):
  losses = (("cross_entropy", 1.0, ()), ("l1", 0.1, ()))
  task = DepthBins(0.5, 60.0, losses, bins=9)
  batch, bins, unused = centred(task, rng)
  return task, batch, unused, {"bins": 60.0 * jax.nn.one_hot(bins, 9)}


def depth_adaptive(rng, image):
  """Bins at every pixel, all images alike; depths at their centres."""
  losses = (("silog_root", 1.0, ()), ("chamfer", 0.1, ()))
  task = DepthAdaptive(0.5, 60.0, losses, bins=9)
  widths = jnp.asarray(rng.uniform(-1, 2, 9), jnp.float32)
  centres = binning.centres(binning.adaptive_edges(widths, 0.5, 60.0))
  bins = rng.integers(0, 9, (4, 6, 7))
  metres = np.asarray(centres)[bins]
  metres[0, :2] = 0  # nothing measured
  metres[1, 0] = 70  # beyond the range
  unused = (metres == 0) | (metres == 70)
  perfect = {
    "bins": 60.0 * jax.nn.one_hot(bins, 9),
    "widths": jnp.broadcast_to(widths, (4, 6, 7, 9)),
  }
  return task, {"depth": jnp.asarray(metres)}, unused[..., None], perfect


def depth_ordinal(rng, image):
  task = DepthOrdinal(0.5, 60.0, bins=9, spacing="uniform")
  batch, bins, unused = centred(task, rng)
  beyond = np.where(np.arange(9) < bins[..., None], 20.0, -20.0)
  pairs = np.stack([-beyond, beyond], -1).reshape(4, 6, 7, 18)
  return task, batch, unused, {"pairs": jnp.asarray(pairs, jnp.float32)}


def keypoints(rng, image, **options):
  """Five points of faces and people: a pair, a pair, and one between."""
  task = Keypoints(
    tuple("abcde"),
    ((0, 1), (3, 4)),
    ((0, 1), (1, 2)),
    stride=1,
    **options,
  )
  cell = np.stack([rng.integers(0, 7, (4, 5)), rng.integers(0, 6, (4, 5))], -1)
  cell[:, 1] = (cell[:, 0] + [3, 2]) % [7, 6]  # no two in one place
  seen = np.full((4, 5, 1), 2)
  seen[0, 2:] = seen[1, 3] = 0
  points = np.concatenate([cell + 0.5, seen], -1).astype(np.float32)
  batch = {"keypoints": jnp.asarray(points)[:, None]}
  hidden = seen[..., 0] == 0
  if task.method == "direct":
    share = points[..., :2] / [7, 6] - 0.5
    perfect = share.reshape(4, 1, 1, 10).repeat(6, 1).repeat(7, 2)
    hidden = hidden.repeat(2, -1)
  else:
    perfect = np.zeros((4, 6, 7, 5))
    for b, k in np.ndindex(4, 5):
      x, y = cell[b, k]
      far = np.indices((6, 7)) - np.reshape([y, x], (2, 1, 1))
      bump = np.exp(-(far**2).sum(0) / 8)
      perfect[b, ..., k] = 40 * (bump == 1) if task.windows is False else bump
  perfect = jnp.asarray(perfect, jnp.float32)
  return task, batch, hidden[:, None, None], {"keypoints": perfect}


def multi(rng, image):
  """Three tasks, none of which has a truth where one of them has not."""
  parts, batch, unused, perfect = [], {}, np.zeros((4, 6, 7, 1), bool), {}
  for name, make in (
    ("semantic", semantic),
    ("depth", depth),
    ("normals", normals),
  ):
    task, fields, void, best = make(rng, image)
    parts.append((name, task))
    batch |= fields
    unused |= void
    perfect |= best
  batch["label"] = jnp.where(unused[..., 0], IGNORE, batch["label"])
  batch["depth"] = jnp.where(unused[..., 0], 0, batch["depth"])
  batch["normal"] = jnp.where(unused, 0, batch["normal"])
  return Multi(tuple(parts), weights=(1.0, 0.5, 2.0)), batch, unused, perfect


def video_depth(rng, image):
  """Clips of three frames; two levels, the truth constant in their blocks."""
  task = VideoDepth(0.5, 60.0)
  metres = rng.uniform(1, 50, (4, 3, 2, 2)).astype(np.float32)
  metres[0, 1, 0, 0] = 0  # nothing measured, in a whole block
  coarse = np.log(np.where(metres > 0, metres, 1))
  metres = metres.repeat(4, 2).repeat(4, 3)[:, :, :6, :7]
  perfect = np.log(np.where(metres > 0, metres, 1))
  unused = {"depth": metres == 0, "aux2": coarse == 0}
  for mask in unused.values():
    mask[:, 0] = True  # of the first frame nothing is known
  batch = {
    "image": jnp.stack([image] * 3, 1),
    "depth": jnp.asarray(metres),
    "camera": jnp.ones((4, 3, 4)),
    "motion": jnp.broadcast_to(jnp.eye(4), (4, 3, 4, 4)),
  }
  perfect = {"depth": perfect, "aux2": coarse}
  perfect = {k: jnp.asarray(v)[..., None] for k, v in perfect.items()}
  return task, batch, {k: v[..., None] for k, v in unused.items()}, perfect


def superpixels(rng, image):
  """Regions of whole cells, told apart by one feature each; every pixel's
  features move the means of its superpixel, whether it counts or not."""
  task = Superpixels(channels=4, step=3.0, colour=0.0, labels=4)
  y, x = np.mgrid[:6, :7]
  cell = 2 * (y // 3) + x // 4
  region = np.stack([y // 3, x // 4, cell, cell])
  features = 30.0 * jax.nn.one_hot(region, 4)
  region[0, 0, :2] = IGNORE
  nothing = np.zeros((4, 6, 7, 1), bool)
  batch = {"region": jnp.asarray(region, jnp.int32)}
  return task, batch, nothing, {"features": features}


def clicks(rng, image):
  """An object in every image but the first, which has one too small."""
  task = Clicks(losses=LOSSES)
  instance = np.zeros((4, 6, 7), np.int32)
  instance[1, :, 1:5] = 3
  instance[2, 1:, :] = 1
  instance[3, :5, 2:] = 2
  instance[0, 0, :3] = 1
  unused = np.arange(4)[:, None, None, None] + np.zeros((4, 6, 7, 1)) == 0
  perfect = 40.0 * jax.nn.one_hot((instance > 0).astype(int), 2)
  batch = {"instance": jnp.asarray(instance)}
  return task, batch, unused, {"logits": perfect}


def method(**options):
  return lambda rng, image: keypoints(rng, image, **options)


CASES = {
  "semantic": semantic,
  "depth": depth,
  "depth_adaptive": depth_adaptive,
  "depth_bins": depth_bins,
  "depth_ordinal": depth_ordinal,
  "normals": normals,
  "boundaries": boundaries,
  "denoising": denoising,
  "colorization": colorization,
  "keypoints": keypoints,
  "clicks": clicks,
  "multi": multi,
  "superpixels": superpixels,
  "video_depth": video_depth,
  "keypoints, faces": method(eyes=(0, 1)),
  "keypoints, positions": method(method="one_hot", decode="argmax"),
  "keypoints, soft positions": method(
    method="one_hot", decode="soft", head=(0, 1)
  ),
  "keypoints, direct": method(method="direct", eyes=(0, 1)),
  "keypoints, l2": method(method="direct", losses=(("l2", 2.0, ()),)),
}
