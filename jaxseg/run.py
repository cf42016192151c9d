"""One function per mode: config in, exit status out.

The command line, a notebook and a test call the same functions.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict
from rich.console import Console

from jaxseg import (
  answer,
  anysize,
  build,
  checkpoint,
  clicked,
  clips,
  inference,
  interrupt,
  mesh,
  native,
  predicting,
  process,
  unlearned,
  writers,
)
from jaxseg import evaluate as evaluate_lib
from jaxseg import export as export_lib
from jaxseg import summary as summary_lib
from jaxseg import train as train_lib
from jaxseg.data import decode, geometry, prepare, sources, transforms
from jaxseg.experiment import Experiment
from jaxseg.methods import Network
from jaxseg.state import State
from jaxseg.types import UserError


def train(config: ConfigDict, workdir: str) -> int:
  """--mode=train."""
  process.compilation_cache()
  console = writers.make_console()
  writers.prepare_workdir(workdir)
  built = with_data(config, console)
  try:
    train_lib.train(built, workdir, console)
  except interrupt.Interrupted as e:
    console.print(str(e))
    return interrupt.STATUS
  return 0


def with_data(config: ConfigDict, console: Console) -> Experiment:
  """The experiment; an embedded data set is made first if it is not there.

  And before that, which takes a while, what else may be wrong is found.
  """
  spec, data_dir = build.dataset(config), config.data.data_dir
  if prepare.is_to_be_made(spec, data_dir):
    build.experiment(config, with_data=False)
    prepare.embedded(spec, data_dir, console)
  return build.experiment(config)


def evaluate(config: ConfigDict, workdir: str) -> int:
  """--mode=eval: a table, and the same lines in metrics.jsonl."""
  process.compilation_cache()
  console = writers.make_console()
  built = with_data(config, console)
  mesh.meet(built.mesh)
  state = trained(config, built, workdir, console)
  out = writers.Writers(workdir, tensorboard=config.tensorboard)
  split = build.eval_split(config, built)
  evaluate_lib.evaluate(built, state, split, console, out)
  out.close()
  return 0


def trained(
  config: ConfigDict, built: Experiment, workdir: str, console: Console
) -> State:
  """The best (or latest) state of a workdir.

  Raises:
    UserError: there is none.
  """
  kind = config.eval.checkpoint
  if kind not in ("best", "latest"):
    raise UserError(
      f"config.eval.checkpoint = {kind!r}: expected 'best' or 'latest'."
    )
  found = checkpoint.Checkpoints(
    workdir,
    built.config,
    best=built.best,
    note=lambda text: console.print(f"[yellow]warning:[/] {text}"),
  )
  try:
    abstract = built.abstract_state()
    restored = found.restore(abstract, kind)
    if restored is None and kind == "best":
      restored = found.restore(abstract, "latest")
  finally:
    found.close()
  if restored is None:
    raise UserError(
      f"--workdir={workdir} holds no checkpoint: train first with "
      "--mode=train, or point --workdir at a run."
    )
  console.print(f"Using {restored.path}.")
  return restored.state


def predict(config: ConfigDict, workdir: str, argv: Sequence[str] = ()) -> int:
  """--mode=predict: files, globs, folders, or a split of the data set."""
  process.compilation_cache()
  console = writers.make_console()
  patterns = [*config.predict.images, *argv]
  split = config.predict.split
  if bool(patterns) == bool(split):
    raise UserError(
      "--mode=predict needs images: name files, globs or folders after the "
      "flags (or in --config.predict.images), or a split of the data set in "
      "--config.predict.split, and not both."
    )
  built = predictor(config)
  state = trained(config, built, workdir, console)
  variables = state.variables()
  out = config.predict.out or os.path.join(workdir, "predictions")
  writers.prepare_workdir(out)
  if len(answer.reads(built.task)) > 1:
    done = clips.predict(config, built, variables, patterns, out, console)
    console.print(
      f"{done} frame(s) in {out}; look at {out}/contact_sheet.jpg first."
    )
    return 0
  for key in ("camera", "poses"):
    if config.predict[key]:
      raise UserError(
        f"config.predict.{key} is of networks that read clips, and the task "
        f"{built.task.name!r} reads single images: leave it unset."
      )
  run = native_predict(config, built)
  if hasattr(built.task, "converse"):
    done = clicked.predict(
      config, built, run, variables, patterns, out, console
    )
    console.print(f"{done} object(s) in {out}.")
    return 0
  if config.predict.clicks:
    raise UserError(
      f"config.predict.clicks is read by the task 'clicks', and this is "
      f"{built.task.name!r}: leave it unset."
    )
  options = {
    "task": built.task,
    "application": built.application,
    "console": console,
  }

  def one(image):
    return run(variables, image)

  if split:
    items = split_items(config, built, split)
    done = predicting.predict_items(one, items, out, **options)
  else:
    done = predicting.predict_files(one, patterns, out, **options)
  console.print(
    f"{done} prediction(s) in {out}; look at {out}/contact_sheet.jpg first."
  )
  return 0


def split_items(
  config: ConfigDict, built: Experiment, split: str
) -> list[predicting.Item]:
  """Examples of a split at their own size, with pictures of their truth.

  As evaluation sees them: a task may put noise on them, or they are the crop
  around one person.
  """
  task = built.task
  spec = build.dataset(config)
  keys = ("image", *task.fields)
  source = sources.open_source(spec, split, config.data.data_dir, keys)
  decoder = decode.decoder_of(spec)
  count = min(config.predict.limit or len(source), len(source))
  see = answer.as_seen(task)
  crop = transforms.parse(
    config.data.eval if "person" in config.data.eval else "", built.size
  )

  def loader(index):
    def load():
      fields = decoder(source[index], lambda: source.name_of(index))
      fields = crop(fields, np.random.default_rng(0))
      batch = {key: value[None] for key, value in fields.items()}
      truth = {key: batch[key] for key in task.fields}
      drawn = task.render(batch, truth).items()
      shown = {k: v[0] for k, v in drawn if k.endswith("truth")}
      return see(fields["image"], index), shown

    return load

  return [predicting.Item(f"{split}_{i:05d}", loader(i)) for i in range(count)]


def predictor(config: ConfigDict) -> Experiment:
  """The experiment without its data: only names and sizes are read.

  A user who predicts need not have the training data.
  """
  return build.experiment(config, with_data=False)


def native_predict(config: ConfigDict, built: Experiment):
  """(variables, uint8 (h, w, 3)) -> predictions at the image's own size."""
  forward = inference.build_forward(
    built.model, built.task, build.make_inference(config)
  )
  per_pixel = getattr(built.task, "per_pixel", True)
  make = native.native if per_pixel else native.points
  if not resizes(config) or config.inference.mode != "whole":
    return make(forward, built.task)
  return make(
    forward,
    built.task,
    built.size,
    lambda image, size: geometry.resize({"image": image}, size)["image"],
  )


def trained_network(
  config: ConfigDict, workdir: str, console: Console
) -> Network:
  """The trained network of a workdir, for the methods that go on from it."""
  built = predictor(config)
  state = trained(config, built, workdir, console)
  variables = state.variables()
  predict_one = native_predict(config, built)
  return Network(lambda image: predict_one(variables, image), int(state.step))


def export(config: ConfigDict, workdir: str) -> int:
  """--mode=export: one StableHLO artifact and its sidecar."""
  process.compilation_cache()
  console = writers.make_console()
  built = predictor(config)
  reads = answer.reads(built.task)
  if len(reads) > 1:
    raise UserError(
      f"--mode=export writes networks that read an image, and this one reads "
      f"{', '.join(reads)}: use --mode=predict, which streams."
    )
  if hasattr(built.task, "converse"):
    raise UserError(
      f"--mode=export writes networks that read an image, and that of the task "
      f"{built.task.name!r} reads clicks as well: use --mode=predict with "
      "--config.predict.clicks."
    )
  if config.export.sizes not in ("fixed", "any"):
    raise UserError(
      f"config.export.sizes = {config.export.sizes!r}: expected 'fixed', for "
      "images of one size, or 'any'."
    )
  if config.export.sizes == "any" and config.export.size:
    raise UserError(
      f"config.export.size = {config.export.size} is of images of one size, "
      "and config.export.sizes = 'any': leave one of them unset."
    )
  state = trained(config, built, workdir, console)
  folder = writers.prepare_workdir(pathlib.Path(workdir, "export"))
  name = f"{config.model.name}_{config.data.name}"
  options = {
    "task": built.task,
    "meta": {"config": writers.json_ready(built.config)},
    "console": console,
  }
  variables = state.variables()
  if config.export.sizes == "any":
    size = built.size if resizes(config) else None
    program = anysize.build(
      built.model, built.task, build.make_inference(config), variables, size
    )
    path = folder / f"{name}_any.stablehlo"
    export_lib.export_any(program, variables, path, **options)
    return 0
  size = tuple(config.export.size or built.size)
  path = folder / f"{name}_{size[0]}x{size[1]}.stablehlo"
  export_lib.export_artifact(built.predict, variables, size, path, **options)
  return 0


def resizes(config: ConfigDict) -> bool:
  """Whether evaluation stretches images to one size."""
  resized = ("resize", "person")  # its crops too have the size of training
  return any(name in config.data.eval for name in resized)


def summary(config: ConfigDict, workdir: str) -> int:
  """--mode=summary: parameters and multiply-adds; reads no data."""
  del workdir
  console = writers.make_console()
  built = predictor(config)
  table, counted = summary_lib.summarize(built.model, built.task, built.size)
  frames = answer.blank_inputs(built.task, built.size)[0].shape[1:-3]
  one = f"a clip of {frames[0]} frames" if frames else "an image"
  console.print(table)
  console.print(
    f"{counted.parameters:,} parameters, {counted.state:,} running statistics, "
    f"{counted.macs / 1e9:.2f} G multiply-adds {one}."
  )
  return 0


MODES = {
  "train": train,
  "eval": evaluate,
  "predict": predict,
  "export": export,
  "summary": summary,
}


def start(
  mode: str, config: ConfigDict, workdir: str, argv: Sequence[str] = ()
) -> int:
  """A mode, of a network or of a method.

  Raises:
    UserError: arguments of a mode that takes none, or a mistake of the user.
  """
  if argv and mode != "predict":
    raise UserError(
      f"unexpected argument {argv[0]!r}: only --mode=predict takes arguments; "
      "options begin with --."
    )
  rest = (argv,) if mode == "predict" else ()
  if config.method.name:
    process.compilation_cache()
    network = functools.partial(trained_network, config, workdir)
    return unlearned.run(mode, config, workdir, network, *rest)
  with process.convolutions(config.convolutions):
    return MODES[mode](config, workdir, *rest)
