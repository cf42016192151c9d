"""The network of a config: published, or an encoder with a decoder; weights."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from jaxseg import answer, earlier, layers
from jaxseg.classical.crf import dense
from jaxseg.encoders import ENCODERS, NORMALIZATIONS, Normalization
from jaxseg.models import CLIP_MODELS, KIT, MODELS
from jaxseg.models.crf_rnn import CRFRNN
from jaxseg.models.kit import DECODERS
from jaxseg.models.scalars import WithScalars
from jaxseg.naming import construct, given, lookup
from jaxseg.types import UserError
from jaxseg.weights import merge, resolve, store

Load = Callable[[dict[str, Any]], tuple[dict[str, Any], str]]


def make_model(config: ConfigDict, task: Any) -> Any:
  """What is trained: network, random field, parameters of the task's loss."""
  network = make_network(config, task)
  fits = getattr(task, "fuses", False) and hasattr(network, "later")
  # Strips go down the image, one by one: not where its rows are spread out.
  fits = fits and config.mesh.space == 1
  if config.fused_loss and fits and not config.model.crf.iterations:
    network = network.clone(later=True)
  network = with_crf(config, network, task)
  scalars = getattr(task, "scalars", {})
  return WithScalars(network, scalars) if scalars else network


def with_crf(config: ConfigDict, network: Any, task: Any) -> Any:
  """The network with the field of config.model.crf behind it, if there is."""
  fields = config.model.crf.to_dict()
  test_iterations = fields.pop("test_iterations")
  if not fields["iterations"]:
    return network
  if task.name != "semantic":
    raise UserError(
      f"config.model.crf.iterations = {fields['iterations']} wants classes of "
      f"pixels, and task {task.name!r} has none: set it to 0, or choose "
      "config.task.name = 'semantic'."
    )
  return CRFRNN(network, dense.DenseOptions(**fields), test_iterations)


def make_network(config: ConfigDict, task: Any) -> Any:
  """The network of config.model, with the heads that the task wants.

  With config.model.encoder.name and a name of KIT it is that decoder on that
  encoder; else the published network, on that encoder if it has one.
  """
  name = config.model.name
  kwargs = given(config.model)
  for key in ("encoder", "weights", "classes", "missing", "crf"):
    kwargs.pop(key, None)
  encoder = make_encoder(config)
  _check_reads(name, task)
  if encoder is not None and name in KIT:
    return _kit(name, task.outputs, encoder, kwargs)
  entry = lookup({**KIT, **MODELS, **CLIP_MODELS}, name, "config.model.name")
  if name not in MODELS and name not in CLIP_MODELS:
    raise UserError(
      f"config.model.name = {name!r} wants an encoder: name one in "
      "config.model.encoder.name, such as resnet50."
    )
  fields = {**entry.fields, **kwargs}
  if encoder is not None:
    if "encoder" not in entry.fields:
      owners = {n for n, e in MODELS.items() if "encoder" in e.fields}
      raise UserError(
        f"config.model.encoder.name = {config.model.encoder.name!r}, but "
        f"{name} has no encoder to choose: networks that have are "
        f"{', '.join(sorted(owners | KIT.keys()))}."
      )
    fields["encoder"] = encoder
  return construct(entry.module, fields, {"outputs": task.outputs}, "model")


def _check_reads(name: str, task: Any) -> None:
  """Refuses a network of clips for images, and the other way round."""
  found = CLIP_MODELS.get(name)
  reads = found.module.reads if found else ("image",)
  if reads != answer.reads(task):
    raise UserError(
      f"config.model.name = {name!r} reads {', '.join(reads)}, and the task "
      f"{task.name!r} gives {', '.join(answer.reads(task))}: networks of clips "
      f"({', '.join(CLIP_MODELS)}) go with the task video_depth, and it with "
      "them."
    )


def _kit(name: str, outputs: Any, encoder: Any, kwargs: dict[str, Any]) -> Any:
  takes = [f.name for f in dataclasses.fields(DECODERS[name])]
  takes = [k for k in takes if k not in ("parent", "name")]
  takes = ["output_stride", "own_decoders", *takes]
  for key in kwargs:
    if key not in takes:
      raise UserError(
        f"config.model.{key} is not an option of {name} on an encoder: it "
        f"takes {', '.join(takes)}."
      )
  return KIT[name](outputs=outputs, encoder=encoder, **kwargs)


def make_encoder(config: ConfigDict) -> Any:
  """The encoder of config.model.encoder; None where none is named."""
  section = config.model.encoder
  kwargs = given(section)
  kwargs.pop("in_channels")
  if section.name is None:
    if kwargs:
      raise UserError(
        f"config.model.encoder.{next(iter(kwargs))} is set and "
        "config.model.encoder.name is not: name one of "
        f"{', '.join(ENCODERS)}."
      )
    return None
  kwargs.pop("weights", None)
  factory = lookup(ENCODERS, section.name, "config.model.encoder.name")
  # ResNet's width is a number of channels, EfficientNet's a factor.
  if "width" in kwargs and kwargs["width"].is_integer():
    kwargs["width"] = int(kwargs["width"])
  module = getattr(factory, "func", factory)
  fields = {**getattr(factory, "keywords", {}), **kwargs}
  return construct(module, fields, {}, "model.encoder")


def make_pretrained(config: ConfigDict, model: Any) -> Load | None:
  """Loads published weights into fresh variables; None where none are asked.

  Args:
    config: all keys.
    model: from `make_model`.

  Returns:
    load(variables) -> (variables, what was done); it reads the file, or
    fetches it, only when it is called.
  """
  whole, part = config.model.weights, config.model.encoder.weights
  if config.model.missing and whole is None:
    raise UserError(
      f"config.model.missing = {config.model.missing} names what "
      "config.model.weights lacks, and that is not set: set it, or neither."
    )
  if whole is None and part is None:
    return None
  if whole is not None and part is not None:
    raise UserError(
      f"config.model.weights = {whole!r} holds an encoder already: unset "
      f"config.model.encoder.weights = {part!r}."
    )
  network, own = model, [*getattr(model, "scalars", ())]
  while isinstance(network, WithScalars | CRFRNN):
    if isinstance(network, CRFRNN):
      own += [f"crf_{n}" for n in ("bilateral", "smooth", "compatibility")]
    network = network.network
  layers.check_choice(
    "config.model.classes", config.model.classes, ("error", "fresh")
  )

  def load(variables):
    run = pathlib.Path(whole or "").expanduser()
    if whole is not None and run.is_dir():
      arrays, path = earlier.variables(run)
    else:
      path = resolve.resolve(whole or part)
      arrays, record = store.read(path)
    if part is not None:
      check_record(record, network.encoder, part)
    others = ()
    if whole is not None:
      others = merge.class_layers(variables, arrays, network.outputs.values())
    allow = merge.Allow(
      in_channels=config.model.encoder.in_channels,
      num_classes=others if config.model.classes == "fresh" else (),
      # Numbers of a loss or of a random field may always start afresh.
      missing=(*config.model.missing, *(() if part else own)),
    )
    only = "encoder" if part else ""
    try:
      new, report = merge.merge(variables, arrays, only=only, allow=allow)
    except UserError as e:
      if not others or allow.num_classes:
        raise
      raise UserError(
        f"{e}\n{', '.join(others)}: made for other classes; "
        "config.model.classes = 'fresh' leaves such layers untrained."
      ) from e
    return new, f"{path}: {report}."

  return load


def check_record(record: store.Record, encoder: Any, name: str) -> None:
  """Refuses weights of an encoder that saw its images in another way.

  Args:
    record: what the file says of its weights.
    encoder: the module that they are for.
    name: of the weights, for the message.
  """
  wanted = record.normalization
  if _record(wanted) != _record(encoder.normalization):
    raise UserError(
      f"the weights {name!r} were trained with the normalization {wanted!r}, "
      f"and the encoder has {encoder.normalization!r}: set "
      "config.model.encoder.normalization to that of the weights."
    )
  for key, value in record.fields.items():
    have = getattr(encoder, key, None)
    if have != value:
      raise UserError(
        f"the weights {name!r} are of an encoder with {key} = {value!r}, and "
        f"this one has {have!r}: set config.model.encoder.{key}."
      )


def _record(how: Any) -> Normalization:
  if isinstance(how, str):
    return NORMALIZATIONS[how]
  if isinstance(how, Normalization):
    return how
  # JSON has lists where the record has tuples.
  lists = {k: tuple(v) if isinstance(v, list) else v for k, v in how.items()}
  return Normalization(**lists)
