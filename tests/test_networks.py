"""Networks by config: options, encoders with decoders, pairs that cannot be."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from jaxseg import defaults, encoders, models, networks
from jaxseg.classical.crf import dense
from jaxseg.models import kit
from jaxseg.types import UserError
from jaxseg.weights import merge, store


def fields_of(factories):
  """Names of all fields of modules, partials and entries among factories."""
  names = set()
  for factory in factories:
    module = getattr(factory, "func", getattr(factory, "module", factory))
    names |= {f.name for f in dataclasses.fields(module)}
  return names


def test_every_option_of_a_network_is_one():
  model = defaults.get_config().model
  known = fields_of([*models.MODELS.values(), *kit.DECODERS.values()])
  encoders_ = fields_of(encoders.ENCODERS.values())
  read = {"name", "weights", "encoder", "in_channels", "classes", "missing"}
  of_kit = {"output_stride", "own_decoders"}
  assert set(model.keys()) - read - of_kit - {"crf"} <= known
  field = {f.name for f in dataclasses.fields(dense.DenseOptions)}
  assert set(model.crf.keys()) == field | {"test_iterations"}
  assert set(model.encoder.keys()) - read <= encoders_


def network(**fields):
  """The model of a config with these keys of config.model."""
  return configured(**fields)[1]


def configured(outputs=3, /, **fields):
  config = defaults.get_config()
  with config.unlocked():
    config.model.update(fields)
  config.lock()
  task = types.SimpleNamespace(outputs={"logits": outputs})
  return config, networks.make_model(config, task)


def variables(model, seed):
  image = np.zeros((1, 16, 16, 3), np.float32)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), image, train=False)
  )
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda s: rng.random(s.shape, np.float32), shapes)


@pytest.mark.parametrize("name", ["unet", "segnet_basic"])
def test_weights_of_a_network_with_other_classes(name, tmp_path):
  """Refused with the key that allows it; then all but the head is theirs."""
  file = tmp_path / "five.safetensors"
  _, five = configured(5, name=name, width=4)
  theirs = merge.flatten(variables(five, 0))
  store.write(file, theirs, store.Record(network=name, source="a test"))
  config, three = configured(3, name=name, width=4, weights=str(file))
  ours = variables(three, 1)
  with pytest.raises(UserError, match=r"head_logits: .*classes = 'fresh'"):
    networks.make_pretrained(config, three)(ours)
  config, three = configured(
    3, name=name, width=4, weights=str(file), classes="fresh"
  )
  new, note = networks.make_pretrained(config, three)(ours)
  assert "2 kept" in note
  for path, array in merge.flatten(new).items():
    source = merge.flatten(ours) if "/head_logits/" in path else theirs
    np.testing.assert_array_equal(array, source[path], err_msg=path)
  with pytest.raises(UserError, match="expected one of 'error', 'fresh'"):
    networks.make_pretrained(
      configured(name=name, weights="a", classes="new")[0], three
    )


def test_another_network_is_no_matter_of_classes(tmp_path):
  file = tmp_path / "wide.safetensors"
  wide = variables(configured(3, width=8)[1], 0)
  store.write(
    file, merge.flatten(wide), store.Record(network="unet", source="a test")
  )
  config, model = configured(3, width=4, weights=str(file), classes="fresh")
  with pytest.raises(UserError, match="of another shape"):
    networks.make_pretrained(config, model)(variables(model, 1))


def test_an_encoder_with_a_decoder():
  model = network(
    name="unet", widths=(8, 8, 8, 8, 8), encoder={"name": "resnet18"}
  )
  assert type(model).__name__ == "EncoderDecoder"
  assert model.decoder.widths == (8, 8, 8, 8, 8)
  assert type(network(name="linknet")).__name__ == "LinkNet"
  lite = {"name": "efficientnet_lite0", "width": 0.5}
  assert network(name="fpn", encoder=lite).encoder.width == 0.5
  published = network(name="deeplabv3_resnet50", encoder={"name": "resnet34"})
  assert published.encoder.blocks == (3, 4, 6, 3)
  assert not published.encoder.bottleneck


@pytest.mark.parametrize(
  ("fields", "says"),
  [
    ({"name": "deeplabv3"}, "wants an encoder"),
    ({"name": "segnet", "encoder": {"name": "resnet18"}}, "no encoder to choo"),
    ({"encoder": {"name": "resnet19"}}, "Did you mean 'resnet1"),
    ({"encoder": {"weights": "resnet50"}}, "encoder.name is not"),
    ({"encoder": {"name": "vgg16", "stem": "deep"}}, "stem is not an option"),
    ({"depth": 3, "encoder": {"name": "vgg16"}}, "depth is not an option"),
    (
      {"name": "deeplabv3", "encoder": {"name": "vgg16"}},
      "cannot become dilations",
    ),
    (
      {
        "name": "deeplabv3plus",
        "output_stride": 4,
        "encoder": {"name": "resnet18"},
      },
      "output_stride=4",
    ),
  ],
)
def test_pairs_that_cannot_be(fields, says):
  with pytest.raises(UserError, match=says):
    network(**fields)
