"""Trains two networks on an accelerator from one data file.

python -m benchmarks.gpu_train --data=FILE.npz --out=DIR
  [--runs=unet_pets_34m,deeplabv3plus_camvid] [--steps=N] [--small]

Needs jax, flax, optax and Pillow, and the file of `benchmarks.export_data`. The
34.5 M U-Net on pets by the recipe of configs/unet_pets_34m.py: 1,150 steps are
its 20 epochs of the complete set, whatever part of it the file holds.
DeepLabv3+-R50 on CamVid from random weights. bfloat16; the pictures lie in the
device's memory, where each step picks, zooms, cuts and flips its own. The last
weights are evaluated, nothing is selected. DIR gets NAME.json and table.md.
--small: three steps on corners of four pictures.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import data_file
from jaxseg import compiling, optim, step, tasks
from jaxseg.models import MODELS
from jaxseg.state import count, create_state
from jaxseg.types import IGNORE, UserError, canonical

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Recipe:
  """One training.

  Attributes:
    data: set, its training split, the split that is evaluated.
    model: in jaxseg.models.MODELS.
    fields: of the model.
    small_fields: beside them, with --small.
    batch: images per step.
    steps: length.
    optim: of jaxseg.optim.
    scale: zoom factors, from and to, evenly in their logarithm.
    ema: decay of the averaged weights that are evaluated; 0: the last ones.
  """

  data: tuple[str, str, str]
  model: str
  fields: Mapping[str, Any]
  batch: int
  steps: int
  optim: optim.OptimOptions
  small_fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  scale: tuple[float, float] = (1.0, 1.0)
  ema: float = 0.0


RECIPES = {
  "unet_pets_34m": Recipe(
    data=("pets", "train", "test"),
    model="unet",
    fields={"width": 64, "up": "tconv3", "dropout": 0.3, "dropout_at": "every"},
    small_fields={"width": 2},
    batch=64,
    steps=1150,
    optim=optim.OptimOptions(
      "adam", lr=1e-3, schedule="constant", weight_decay=0.0
    ),
  ),
  "deeplabv3plus_camvid": Recipe(
    data=("camvid", "train", "val"),
    model="deeplabv3plus_resnet50",
    # The paper's .9997 is of runs ten times as long.
    fields={"momentum": 0.99},
    batch=16,
    steps=6000,
    optim=optim.OptimOptions(
      "adamw", lr=1e-3, warmup_steps=300, weight_decay=1e-2
    ),
    scale=(0.5, 2.0),
    ema=0.999,
  ),
}


def _cut(
  key: Array, image: Array, label: Array, scale: tuple[float, float]
) -> tuple[Array, Array]:
  """One example (h, w, 3), (h, w): zoomed about a place, mirrored or not."""
  h, w = label.shape
  keys = jax.random.split(key, 4)
  low, high = np.log(scale)
  factor = jnp.exp(jax.random.uniform(keys[0], (), minval=low, maxval=high))

  def axis(key: Array, n: int) -> Array:
    """Source coordinate of each pixel's centre, in pixels of the source."""
    room = n - n / factor  # negative where the picture does not fill the cut
    return (jnp.arange(n) + 0.5) / factor + room * jax.random.uniform(key)

  y, x = axis(keys[1], h), axis(keys[2], w)
  x = jnp.where(jax.random.bernoulli(keys[3]), w - x, x)

  def blend(values: Array, at: Array, n: int) -> Array:
    """Rows of values (n, ...) at places between their centres."""
    at = jnp.clip(at - 0.5, 0, n - 1)
    before = jnp.floor(at).astype(jnp.int32)
    after = jnp.minimum(before + 1, n - 1)
    part = (at - before).reshape(-1, *(1,) * (values.ndim - 1))
    return values[before] * (1 - part) + values[after] * part

  picture = blend(image.astype(jnp.float32), y, h)
  picture = blend(picture.swapaxes(0, 1), x, w).swapaxes(0, 1)
  rows = jnp.clip(jnp.floor(y).astype(jnp.int32), 0, h - 1)
  columns = jnp.clip(jnp.floor(x).astype(jnp.int32), 0, w - 1)
  inside = ((y >= 0) & (y < h))[:, None] & ((x >= 0) & (x < w))
  picture = jnp.where(inside[..., None], jnp.round(picture), 128)
  return (
    picture.astype(jnp.uint8),
    jnp.where(inside, label[rows][:, columns], IGNORE).astype(label.dtype),
  )


def augment(
  key: Array, image: Array, label: Array, scale: tuple[float, float]
) -> tuple[Array, Array]:
  """Zoom, cut and flip of a batch, each example its own; runs under jit.

  Zoomed by a factor of `scale` and cut to the size it had, at a random place;
  what lies outside is grey and ignored. Bilinear without a filter where it
  shrinks, labels by nearest pixel.

  Args:
    key: PRNG key.
    image: uint8 (b, h, w, 3).
    label: uint8 (b, h, w).
    scale: least and greatest factor.
  """
  keys = jax.random.split(key, len(image))
  return jax.vmap(functools.partial(_cut, scale=scale))(keys, image, label)


def indices(seed: int, examples: int, batch: int, steps: int) -> np.ndarray:
  """int32 (steps, batch): epochs one behind the other, each shuffled anew."""
  epochs = -(-batch * steps // examples)
  order = [
    np.random.default_rng([seed, e]).permutation(examples)
    for e in range(epochs)
  ]
  flat = np.concatenate(order)[: batch * steps]
  return flat.reshape(steps, batch).astype(np.int32)


def evaluate(
  model: Any, task: tasks.Semantic, variables: Any, images: Any, labels: Any
) -> dict[str, float]:
  """Scores over the whole split, by one confusion matrix."""
  metric = task.metrics()["confusion"]
  size = 16

  @compiling.jit
  def update(state, variables, image, label, mask):
    batch = canonical({"image": image, "label": label, "_mask": mask})
    out = model.apply(variables, batch["image"], train=False)
    return metric.update(state, task.predict(out), batch)

  state = metric.init()
  for start in range(0, len(images), size):
    at = np.arange(start, start + size)
    real = at < len(images)
    at = np.minimum(at, len(images) - 1)  # the last batch is filled up
    state = update(state, variables, images[at], labels[at], real)
  return metric.result(state)


def train(recipe: Recipe, path: str, small: bool, seed: int = 0) -> dict:
  """One training and its evaluation; what is reported of it.

  Raises:
    UserError: the data is not there, or a loss is not finite.
  """
  name, *splits = recipe.data
  about = data_file.about(path)[name]
  limit = 4 if small else 0
  train_split, eval_split = (
    data_file.read(path, name, split, limit) for split in splits
  )
  if small:
    train_split, eval_split = (
      tuple(array[:, :64, :64] for array in split)
      for split in (train_split, eval_split)
    )
  images, labels = jax.device_put(train_split)
  task = tasks.Semantic(
    tuple(about["classes"]), tuple(map(tuple, about["palette"]))
  )
  fields = {**recipe.fields, **(recipe.small_fields if small else {})}
  model = MODELS[recipe.model](outputs=task.outputs, dtype="bfloat16", **fields)
  batch = min(recipe.batch, 2) if small else recipe.batch
  steps = recipe.steps
  schedule = optim.make_schedule(recipe.optim, steps)
  blank = jnp.zeros((1, *images.shape[1:]))
  key = jax.random.key(seed)
  shapes = jax.eval_shape(lambda: model.init(key, blank, train=False))
  tx = optim.make_optimizer(recipe.optim, steps, shapes["params"])
  state = compiling.jit(
    lambda key: create_state(model, tx, (blank,), key, recipe.ema > 0)
  )(key)
  update = step.make_train_step(
    model, task, tx, schedule, seed=seed, ema_decay=recipe.ema
  )

  @functools.partial(compiling.jit, donate_argnums=0)
  def one(state, images, labels, index):
    key = jax.random.fold_in(jax.random.key(seed + 1), state.step)
    image, label = augment(key, images[index], labels[index], recipe.scale)
    return update(state, {"image": image, "label": label})

  order = indices(seed, len(images), batch, steps)
  losses, began = [], time.perf_counter()
  every = max(1, steps // 20)
  for i, index in enumerate(order, 1):
    state, logs = one(state, images, labels, index)
    if i == 1:
      jax.block_until_ready(logs)
      compiled, began = time.perf_counter() - began, time.perf_counter()
    if i % every == 0 or i == steps:
      loss = float(logs["loss"])
      if not logs["finite"]:
        raise UserError(
          f"the loss is not finite at step {i}: {loss}. Lower the rate of the "
          "recipe, or train in float32."
        )
      losses.append([i, loss])
      print(f"step {i}/{steps}  loss {loss:.4f}", flush=True)
  seconds = time.perf_counter() - began
  scores = evaluate(model, task, state.variables(), *eval_split)
  device = jax.devices()[0]
  return {
    "benchmark": "gpu_train",
    "device": device.device_kind,
    "platform": device.platform,
    "small": small,
    "versions": {"jax": jax.__version__},
    "data": {
      "train": [name, splits[0], len(images)],
      "eval": [name, splits[1], len(eval_split[0])],
    },
    "parameters": count(state.params),
    "batch": batch,
    "steps": steps,
    "epochs": batch * steps / len(images),
    "first_step_seconds": compiled,
    "seconds": seconds,
    "images_per_second": batch * (steps - 1) / seconds,
    "losses": losses,
    "scores": scores,
  }


def table(reports: Mapping[str, Mapping]) -> str:
  """Rows of the README's table of results."""
  rows = ["| run | data | time | score |", "|---|---|---|---|"]
  for name, r in reports.items():
    (data, split, n), (_, judged, m) = r["data"]["train"], r["data"]["eval"]
    scores = r["scores"]
    rows.append(
      f"| `{name}`, {r['parameters']:,} parameters, {r['steps']} steps of "
      f"{r['batch']}, bfloat16 | {data}, {split} {n}, {judged} {m} | "
      f"{r['seconds'] / 60:.1f} min on {r['device']}, "
      f"{r['images_per_second']:.0f} images/s | {judged}: pixel accuracy "
      f"{scores['pixel_accuracy']:.3f}, mIoU {scores['miou']:.3f} |"
    )
  return "\n".join(rows) + "\n"


def main() -> int:
  """Trains, writes DIR/NAME.json and DIR/table.md."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--data", required=True)
  parser.add_argument("--out", required=True)
  parser.add_argument("--runs", default=",".join(RECIPES))
  parser.add_argument("--steps", type=int, default=0)
  parser.add_argument("--small", action="store_true")
  options = parser.parse_args()
  folder = pathlib.Path(options.out)
  folder.mkdir(parents=True, exist_ok=True)
  if jax.default_backend() == "cpu":
    print("no accelerator: this shows that the script runs, and takes long")
  reports = {}
  for name in options.runs.split(","):
    steps = options.steps or (3 if options.small else RECIPES[name].steps)
    recipe = dataclasses.replace(RECIPES[name], steps=steps)
    try:
      reports[name] = train(recipe, options.data, options.small)
    except UserError as e:
      print(f"error: {e}", file=sys.stderr)
      return 2
    text = json.dumps(reports[name], indent=2) + "\n"
    (folder / f"{name}.json").write_text(text)
    (folder / "table.md").write_text(table(reports))
  print(table(reports), end="")
  return 0


if __name__ == "__main__":
  sys.exit(main())
