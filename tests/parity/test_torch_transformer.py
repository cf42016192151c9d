"""A layer of mViT against torch's TransformerEncoderLayer, weights copied."""

import jax
import numpy as np
import pytest

from jaxseg.models import mini_vit
from tests import quick

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
  ("width", "heads", "hidden"), [(128, 4, 1024), (8, 2, 5)]
)
def test_a_layer_and_its_gradient(width, heads, hidden, random_variables):
  import torch

  theirs = torch.nn.TransformerEncoderLayer(
    width, heads, dim_feedforward=hidden, batch_first=True
  ).eval()
  ours = mini_vit.TransformerLayer(heads=heads, hidden=hidden)
  x = np.random.default_rng(0).normal(size=(2, 9, width)).astype(np.float32)
  variables = random_variables(ours, x)
  p = jax.tree.map(np.asarray, variables["params"])
  a = p["attention"]
  flat = {
    "self_attn.in_proj_weight": np.concatenate(
      [
        a[n]["kernel"].reshape(width, width).T
        for n in ("query", "key", "value")
      ]
    ),
    "self_attn.in_proj_bias": np.concatenate(
      [a[n]["bias"].reshape(width) for n in ("query", "key", "value")]
    ),
    "self_attn.out_proj.weight": a["out"]["kernel"].reshape(width, width).T,
    "self_attn.out_proj.bias": a["out"]["bias"],
    "linear1.weight": p["dense1"]["kernel"].T,
    "linear1.bias": p["dense1"]["bias"],
    "linear2.weight": p["dense2"]["kernel"].T,
    "linear2.bias": p["dense2"]["bias"],
    "norm1.weight": p["norm1"]["scale"],
    "norm1.bias": p["norm1"]["bias"],
    "norm2.weight": p["norm2"]["scale"],
    "norm2.bias": p["norm2"]["bias"],
  }
  theirs.load_state_dict({k: torch.tensor(v) for k, v in flat.items()})
  tx = torch.tensor(x, requires_grad=True)
  want = theirs(tx)
  want.sin().sum().backward()

  def run(x):
    y = ours.apply(variables, x, train=False)
    return jax.numpy.sin(y).sum(), y

  grad, got = quick.jit(jax.grad(run, has_aux=True))(x)
  np.testing.assert_allclose(got, want.detach().numpy(), atol=5e-5)
  np.testing.assert_allclose(grad, tx.grad.numpy(), atol=5e-4)
