"""The counts of segmentation_models_pytorch, every encoder and decoder."""

import pytest

from jaxseg import types
from jaxseg.encoders import ENCODERS
from jaxseg.models import KIT
from jaxseg.state import count
from tests import probe

DECODERS = ("unet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus")
# Trainable parameters with 21 classes, encoder stages that a decoder does not
# read counted too (segmentation_models_pytorch 0.6).
COUNTS = {
  "resnet18": (
    14_331_109,
    11_664_437,
    13_049_813,
    11_422_005,
    15_904_085,
    12_334_437,
  ),
  "resnet34": (
    24_439_269,
    21_772_597,
    23_157_973,
    21_530_165,
    26_012_245,
    22_442_597,
  ),
  "resnet50": (
    32_524_005,
    31_178_437,
    26_118_613,
    24_393_173,
    39_638_869,
    26_682_725,
  ),
  "resnet101": (
    51_516_133,
    50_170_565,
    45_110_741,
    43_385_301,
    58_630_997,
    45_674_853,
  ),
  "mobilenet_v2": (
    6_631_845,
    4_320_519,
    4_218_005,
    2_355_533,
    12_653_077,
    4_383_653,
  ),
  "vgg16_bn": (23_759_589, 15_987_605, 16_809_429, 15_608_277, None, None),
}


@pytest.mark.parametrize("encoder", sorted(COUNTS))
def test_table_of_counts(encoder):
  """To the last parameter; and logits of the size of an odd image."""
  for decoder, want in zip(DECODERS, COUNTS[encoder], strict=True):
    fields = {"outputs": {"logits": 21}, "encoder": ENCODERS[encoder]()}
    if want is None:
      with pytest.raises(types.UserError, match="cannot become dilations"):
        KIT[decoder](**fields)
      continue
    out, variables = probe.shapes(KIT[decoder](**fields), (97, 130))
    assert out["logits"].shape == (1, 97, 130, 21)
    assert count(variables["params"]) == want, decoder
