"""The one place where names become objects.

`experiment(config)` turns plain values into an Experiment. Every key that is
set is read or refused by name; an unknown name is answered with the nearest
known one.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxseg import (
  answer,
  assignment,
  clips,
  inference,
  mesh,
  networks,
  optim,
  ranges,
  remat,
)
from jaxseg.classical.crf import dense
from jaxseg.data import audit as audit_lib
from jaxseg.data import decode, folder, missing, pipeline, sources, transforms
from jaxseg.data.datasets import DATASETS
from jaxseg.experiment import Experiment, Split
from jaxseg.naming import lookup
from jaxseg.types import UserError

FOLDER_KEYS = (
  "images",
  "masks",
  "classes",
  "ids",
  "ignore_ids",
  "colors",
  "split_dir",
)


def dataset(config: ConfigDict) -> Any:
  """The DatasetSpec or FolderSpec of config.data."""
  data = config.data
  if data.name == "folder":
    values = {key: getattr(data, key) for key in FOLDER_KEYS}
    return folder.folder_spec(
      **values, val_fraction=data.val_fraction, seed=config.seed
    )
  spec = lookup({**DATASETS, "folder": None}, data.name, "config.data.name")
  for key in FOLDER_KEYS:
    if getattr(data, key):
      raise UserError(
        f"config.data.{key} is read by data sets of kind 'folder' only, and "
        f"config.data.name is {data.name!r}."
      )
  replaced = {
    split: data[f"{split}_split"]
    for split in ("train", "val", "test")
    if data[f"{split}_split"] is not None
  }
  return dataclasses.replace(spec, splits={**spec.splits, **replaced})


def make_inference(config: ConfigDict) -> inference.InferenceOptions:
  """The options of config.inference."""
  values = config.inference.to_dict()
  crf = values.pop("crf")
  # 0 iterations: none. Everything else is an option, or refused by it.
  crf = dense.DenseOptions(**crf) if crf["iterations"] else None
  return inference.InferenceOptions(**values, crf=crf)


def image_size(config: ConfigDict) -> tuple[int, int]:
  """config.data.size as (h, w)."""
  size = config.data.size
  size = (size,) if isinstance(size, int) else tuple(size)
  size = size * 2 if len(size) == 1 else size
  if len(size) != 2 or min(size) < 1:
    raise UserError(
      f"config.data.size = {size}: expected (height, width), such as (128, "
      "128)."
    )
  return size


def num_steps(config: ConfigDict, examples: int) -> int:
  """config.steps, or config.epochs turned into steps once; 0 is not set."""
  steps, epochs = config.steps or None, config.epochs or None
  if (steps is None) == (epochs is None):
    have = "both" if steps is not None else "neither"
    raise UserError(
      f"{have} of config.steps and config.epochs set: give exactly one, and 0 "
      "for the other."
    )
  if steps is None:
    steps = math.ceil(epochs * examples / config.data.batch_size)
  if steps < 1:
    raise UserError(f"config.steps = {steps}: expected at least 1.")
  return int(steps)


def make_optim(config: ConfigDict) -> optim.OptimOptions:
  """The options of config.optim."""
  values = config.optim.to_dict()
  try:
    values["rules"] = tuple(
      (str(a), float(b), *map(int, more)) for a, b, *more in values["rules"]
    )
  except (TypeError, ValueError) as e:
    raise UserError(
      f"config.optim.rules = {values['rules']}: expected (regular expression, "
      "factor) pairs, or (regular expression, factor, steps for which it stays "
      "frozen)."
    ) from e
  values["step_at"] = tuple(values["step_at"])
  return optim.OptimOptions(**values)


def plain(config: ConfigDict) -> dict[str, Any]:
  """Plain values, as in config.json."""
  return config.to_dict()


def best_metric(config: ConfigDict, task: Any) -> tuple[str, str]:
  """(metric, 'max' or 'min') that decides which checkpoint is best."""
  name = config.checkpoint.best
  if not name:
    return task.best
  if name.startswith("-"):
    return name[1:], "min"
  return name, "max"


def _check_fit(
  config: ConfigDict, model: Any, task: Any, size: tuple[int, int]
) -> None:
  """Refuses a size that the network cannot take, or does not give back."""
  inputs = answer.blank_inputs(task, size)

  def run(*inputs):
    return model.init_with_output(jax.random.key(0), *inputs, train=False)[0]

  try:
    outputs = jax.eval_shape(run, *inputs)
  except OverflowError as e:
    raise UserError(
      f"config.model and config.data.size = {size[0]}x{size[1]} ask for arrays "
      f"larger than any machine has ({e}): choose smaller numbers."
    ) from e
  # A function of its own each time: JAX remembers what it has traced.
  remat.check(config.remat, lambda: jax.eval_shape(lambda *x: run(*x), *inputs))
  coarse = getattr(task, "coarse", False)
  for head, out in outputs.items():
    if out.shape[-3:-1] != size and not coarse:
      raise UserError(
        f"{config.model.name} makes {head!r} of {out.shape[1]}x{out.shape[2]} "
        f"pixels from config.data.size = {size[0]}x{size[1]}, and the truth "
        "has that size: choose options of the network that keep it (unet: "
        "config.model.mirror=True)."
      )


def experiment(config: ConfigDict, with_data: bool = True) -> Experiment:
  """Builds everything; opens the data, computes nothing.

  Args:
    config: all keys of defaults.get_config().
    with_data: False leaves the data set closed, for those who only predict:
      no splits, no training batches.

  Raises:
    UserError: a value that cannot be, data that is not there.
  """
  ranges.check(config)
  spec = dataset(config)
  task = assignment.make_task(config, spec)
  application = assignment.make_application(config, spec, evaluated=with_data)
  task = application.of(task) if application else task
  model = networks.make_model(config, task)
  size = image_size(config)
  if with_data:
    _check_fit(config, model, task, size)
  devices = mesh.make_mesh(config.devices, config.mesh.space)
  mesh.check_height(devices, size[0], getattr(model, "total_stride", 1))
  batch_size = config.data.batch_size
  mesh.check_batch_size(devices, batch_size, config.accumulate)
  eval_batch = config.eval.batch_size or batch_size
  mesh.check_batch_size(devices, eval_batch, key="config.eval.batch_size")
  augment = transforms.parse(config.data.augment, size)
  keep_size = transforms.parse(config.data.eval, size)
  keys = ("image", *task.fields)
  keep = missing.parse(config.data.keep, task.fields)
  decoder = decode.decoder_of(spec)
  threads = config.data.threads
  cut = functools.partial(clips.options, config, keys)
  opened = functools.cache(
    lambda split: sources.open_source(
      spec, split, config.data.data_dir, keys, cut(training=split == "train")
    )
  )
  source = opened("train") if with_data else ()
  # Without the data epochs cannot be counted, and nobody asks.
  steps = num_steps(config, len(source)) if with_data else 1 << 30
  options = make_optim(config)
  schedule = optim.make_schedule(options, steps)

  def split(name: str) -> Split:
    examples = min(config.eval.limit or len(opened(name)), len(opened(name)))
    return Split(
      name,
      examples,
      pipeline.num_eval_batches(examples, eval_batch),
      lambda: pipeline.eval_batches(
        opened(name),
        decoder,
        keep_size,
        batch_size=eval_batch,
        threads=threads,
        limit=examples,
      ),
    )

  def audit() -> Any:
    if config.audit and "depth" in keys:
      audit_lib.audit_depth(source, decoder, *task.depth_range)
    if not config.audit or "label" not in keys:
      return None
    return audit_lib.audit_labels(source, decoder, spec.classes)

  available = {}
  for name in ("val", "test"):
    if with_data and name in spec.splits:
      try:
        available[name] = split(name)
      except UserError:
        if name == "val":
          raise  # a test split may be kept apart; a val split may not
  return Experiment(
    config=plain(config),
    mesh=devices,
    model=model,
    task=task,
    make_tx=lambda params: optim.make_optimizer(options, steps, params),
    schedule=schedule,
    pretrained=networks.make_pretrained(config, model),
    predict=inference.build(model, task, make_inference(config)),
    seed=config.seed,
    steps=steps,
    batch_size=batch_size,
    accumulate=config.accumulate,
    ema_decay=config.ema_decay,
    examples=len(source),
    train_batches=lambda start: pipeline.train_batches(
      source,
      decoder,
      augment,
      batch_size=batch_size,
      seed=config.seed,
      start=start,
      threads=threads,
      keep=keep,
      cache_mb=config.data.cache_mb,
    ),
    splits=available,
    audit=audit,
    name_of=lambda name, index: opened(name).name_of(index),
    log_every=config.log_every,
    eval_every=config.eval.every,
    checkpoint_every=config.checkpoint.every,
    keep=config.checkpoint.keep,
    best=best_metric(config, task),
    tensorboard=config.tensorboard,
    size=size,
    application=application,
    remat=config.remat,
    fsdp=config.mesh.fsdp,
  )


def eval_split(config: ConfigDict, built: Experiment) -> str:
  """What --mode=eval reads: config.eval.split, or test, or val."""
  if config.eval.split:
    return config.eval.split
  return "test" if "test" in built.splits else "val"
