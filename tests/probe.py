"""What tests ask of any network: shapes without computing, or its output."""

import jax
import jax.numpy as jnp

from jaxseg.state import count
from tests import quick


def shapes(model, size=64, channels=3, *, batch=1, **options):
  """(output, variables) of `model` for an image: traced, nothing computed.

  Args:
    model: Linen module.
    size: of the image, (h, w) or both.
    channels: of the image.
    batch: number of images.
    **options: of the call; train=False if none are given, and train=None for
      a module that has no such argument.
  """
  options = {"train": False, **options}
  if options["train"] is None:
    del options["train"]
  h, w = (size, size) if isinstance(size, int) else size
  return jax.eval_shape(
    lambda x: model.init_with_output(jax.random.key(0), x, **options),
    jax.ShapeDtypeStruct((batch, h, w, channels), jnp.float32),
  )


def variables(model, *args, **options):
  """The second of `shapes`."""
  return shapes(model, *args, **options)[1]


def parameters(model, *args, **options):
  """How many of its numbers are trained."""
  return count(variables(model, *args, **options)["params"])


def outputs(model, variables, image, train):
  """Shapes of what `model` gives, in training its auxiliary heads too."""
  return jax.eval_shape(
    lambda v, x: model.apply(
      v,
      x,
      train=train,
      mutable=["batch_stats"],
      rngs={"dropout": jax.random.key(0)},
    )[0],
    variables,
    image,
  )


def run(model, variables, image):
  """What `model` computes in evaluation, compiled for this call."""
  return quick.jit(lambda v, x: model.apply(v, x, train=False))(
    variables, image
  )


def subtracted_again(params, path):
  """A bias before a normalisation: its gradient is zero up to rounding.

  So is that of the keys of an attention: all its logits grow alike.
  """
  if len(path) < 2:
    return False  # a parameter of the network itself, in no layer
  *above, layer, leaf = (entry.key for entry in path)
  if (layer, leaf) == ("key", "bias"):
    return True
  for key in above:
    params = params[key]
  partners = {f"{layer}_norm", layer.replace("conv", "norm")} - {layer}
  return leaf == "bias" and bool(partners & set(params))
