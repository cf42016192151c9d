"""Any encoder, any decoder: gradients, links, padding, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxseg import layers, losses, types
from jaxseg.encoders import ENCODERS
from jaxseg.models import KIT
from jaxseg.models.decoders import linknet, pspnet, unet
from tests import probe, quick

DECODERS = ("unet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus")
TINY = {"width": 4, "blocks": (1, 1, 1, 1)}
FIELDS = {
  "unet": {"widths": (16, 8, 8, 4, 4)},
  "linknet": {"width": 4},
  "fpn": {"pyramid_width": 8, "width": 4},
  "pspnet": {"width": 8},
  "deeplabv3": {"width": 8},
  "deeplabv3plus": {"width": 8, "low_width": 4},
}


def tiny(decoder, outputs=3, **fields):
  return KIT[decoder](
    outputs={"logits": outputs},
    encoder=ENCODERS["resnet18"](**TINY),
    **{**FIELDS[decoder], **fields},
  )


class Toy(nn.Module):
  """One strided convolution per stage: an encoder that compiles fast."""

  output_stride: int = 32
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x, *, train):
    maps = {}
    for level in range(1, 6):
      stride = 2 if 2**level <= self.output_stride else 1
      x = nn.tanh(layers.Conv(16, stride=stride, name=f"stage{level}")(x))
      maps[f"c{level}"] = x
    return maps


@pytest.mark.parametrize("decoder", DECODERS)
def test_one_step_reaches_what_the_decoder_reads(decoder, random_variables):
  """Finite gradients; non-zero for all but the stages that are not read."""
  fields = {"outputs": {"logits": 3}, "encoder": Toy(), **FIELDS[decoder]}
  model = KIT[decoder](**fields)
  image = np.random.default_rng(0).random((2, 48, 64, 3), np.float32)
  label = np.random.default_rng(1).integers(0, 3, (2, 48, 64))
  variables = random_variables(model, image)

  @quick.jit
  def gradients(variables):
    def loss(params):
      out, _ = model.apply(
        {**variables, "params": params},
        image,
        train=True,
        mutable=["batch_stats"],
        rngs={"dropout": jax.random.key(0)},
      )
      return losses.cross_entropy(out["logits"], label).compute()

    return jax.grad(loss)(variables["params"])

  unread = ("stage4", "stage5") if decoder == "pspnet" else ()
  grads = gradients(variables)
  for path, g in jax.tree_util.tree_leaves_with_path(grads):
    name = jax.tree_util.keystr(path)
    assert np.isfinite(g).all(), name
    if any(stage in name for stage in unread):
      assert not g.any(), name
    # LinkNet: a bias before a normalisation is subtracted again.
    elif "['up']['bias']" not in name:
      assert g.any(), name


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_level_is_used(decoder, random_variables):
  """The gradient of the decoder's map with respect to each encoder map."""
  model = tiny(decoder).decoder
  stride = model.output_strides[0]
  rng = np.random.default_rng(0)
  maps = {}
  for level in range(1, 6):
    side = 64 // min(2**level, stride)
    maps[f"c{level}"] = rng.normal(size=(1, side, side, 4)).astype(np.float32)
  variables = random_variables(model, maps)

  @quick.jit
  def run(maps):
    def total(maps):
      y = model.apply(variables, maps, train=False)
      return jnp.sum(jnp.sin(jnp.arange(y.size).reshape(y.shape)) * y)

    return jax.grad(total)(maps)

  for level, g in run(maps).items():
    assert g.any() == (int(level[1:]) in model.levels), level


@pytest.mark.parametrize("decoder", ["unet", "linknet", "deeplabv3plus"])
def test_a_decoder_of_its_own_is_a_network_of_that_head(
  decoder, random_variables
):
  """Each head answers as the network that has it alone does."""
  fields = {"encoder": ENCODERS["resnet18"](**TINY), **FIELDS[decoder]}
  heads = {"logits": 3, "depth": 1}
  model = KIT[decoder](outputs=heads, own_decoders=True, **fields)
  image = np.random.default_rng(0).random((2, 33, 64, 3), np.float32)
  variables = random_variables(model, image)
  out = probe.run(model, variables, image)
  for head, channels in heads.items():
    alone = KIT[decoder](outputs={head: channels}, **fields)
    kept = {
      kind: {
        name.replace(f"decoder_{head}", "decoder"): tree
        for name, tree in trees.items()
        if name in ("encoder", f"decoder_{head}", f"head_{head}")
      }
      for kind, trees in variables.items()
    }
    want = probe.run(alone, kept, image)[head]
    np.testing.assert_allclose(out[head], want, atol=1e-6)
  assert len(variables["params"]) == 5  # and nothing is shared but the encoder


def test_padding_is_the_repeated_border(random_variables):
  """Logits of an odd image are those of the padded one, cropped."""
  model = KIT["unet"](outputs={"logits": 3}, encoder=Toy(), **FIELDS["unet"])
  image = np.random.default_rng(0).random((1, 33, 50, 3), np.float32)
  big = np.pad(image, ((0, 0), (0, 31), (0, 14), (0, 0)), mode="edge")
  variables = random_variables(model, image)
  run = quick.jit(lambda x: model.apply(variables, x, train=False)["logits"])
  np.testing.assert_allclose(run(image), run(big)[:, :33, :50], atol=1e-5)


def test_zeroed_links_leave_the_decoder_alone(random_variables):
  """LinkNet adds: with zero maps it is its blocks, one after the other."""
  decoder = linknet.LinkNetDecoder(width=4)
  rng = np.random.default_rng(0)
  maps = {
    f"c{k}": np.zeros((1, 64 >> k, 64 >> k, width), np.float32)
    for k, width in zip(range(1, 6), (4, 4, 8, 16, 32))
  }
  maps["c5"] = rng.normal(size=(1, 2, 2, 32)).astype(np.float32)
  variables = random_variables(decoder, maps)

  @quick.jit
  def run(maps):
    x = maps["c5"]
    for level, width in zip((4, 3, 2, 1, 0), (16, 8, 4, 4, 4)):
      block = linknet.LinkNetBlock(width)
      part = {k: v[f"up{level}"] for k, v in variables.items()}
      x = block.apply(part, x, train=False)
    return decoder.apply(variables, maps, train=False), x

  got, want = run(maps)
  assert np.abs(want).max() > 1e-3
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_a_bare_pooling_gets_a_centre():
  """VGG ends in one, a ResNet does not."""
  for encoder, want in (("vgg16_bn", True), ("resnet18", False)):
    model = KIT["unet"](outputs={"logits": 2}, encoder=ENCODERS[encoder]())
    params = probe.variables(model, 32)["params"]["decoder"]
    assert ("center_conv1" in params) == want
  shallow = unet.UNetDecoder((8, 8, 4))
  assert shallow.stride == 8
  assert shallow.levels == (1, 2, 3)


def test_output_stride_changes_no_parameter():
  trees = [
    jax.tree.map(
      lambda x: x.shape,
      dict(probe.variables(tiny("deeplabv3plus", output_stride=s))),
    )
    for s in (8, 16, 32)
  ]
  assert trees[0] == trees[1] == trees[2]


def test_dtype_and_stride_reach_the_encoder():
  model = tiny("deeplabv3", dtype="bfloat16")
  assert model.encoder.dtype == model.decoder.dtype == "bfloat16"
  assert model.encoder.output_stride == 8
  assert isinstance(hash(model), int)  # may be a static argument of jit


def test_mistakes_are_named():
  encoder = ENCODERS["resnet18"](**TINY)
  with pytest.raises(TypeError, match="widht"):
    KIT["unet"](outputs={"logits": 2}, encoder=encoder, widht=3)
  with pytest.raises(types.UserError, match="output_stride=8"):
    KIT["unet"](outputs={"logits": 2}, encoder=encoder, output_stride=8)
  with pytest.raises(types.UserError, match="expected a module"):
    KIT["unet"](outputs={"logits": 2}, encoder="resnet18")
  with pytest.raises(types.UserError, match=r"'deeplabv3' wants .* VGG"):
    KIT["deeplabv3"](outputs={"logits": 2}, encoder=ENCODERS["vgg16"]())
  unpadded = KIT["unet"](outputs={"logits": 2}, encoder=ENCODERS["alexnet"]())
  with pytest.raises(
    types.UserError, match="c1 of stride 2; this encoder has c2, c3"
  ):
    probe.shapes(unpadded)


def test_image_smaller_than_the_largest_bin():
  """Six bins need six places of stride 8: 41 pixels, rounded up to 48."""
  model = tiny("pspnet")
  assert model.min_size == 41
  assert probe.shapes(model, 41)[0]["logits"].shape == (1, 41, 41, 3)
  with pytest.raises(types.UserError, match="at least 41"):
    probe.shapes(model, (40, 64))
  assert tiny("pspnet", bins=(1, 2)).min_size == 9
  with pytest.raises(types.UserError, match="5 x 9 into 6 x 6 bins"):
    pspnet.PyramidPooling(2).init(
      jax.random.key(0), jnp.zeros((1, 5, 9, 4)), train=False
    )
