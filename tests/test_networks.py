"""Networks by config: options, encoders with decoders, pairs that cannot be."""

import dataclasses
import types

import pytest

from jaxseg import defaults, encoders, models, networks
from jaxseg.models import kit
from jaxseg.types import UserError


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
  read = {"name", "weights", "encoder", "in_channels"}
  assert set(model.keys()) - read - {"output_stride"} <= known
  assert set(model.encoder.keys()) - read <= encoders_


def network(**fields):
  """The model of a config with these keys of config.model."""
  config = defaults.get_config()
  with config.unlocked():
    config.model.update(fields)
  config.lock()
  task = types.SimpleNamespace(outputs={"logits": 3})
  return networks.make_model(config, task)


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
