"""Losses and metrics against torch, smp, torchvision and torchmetrics."""

import jax
import numpy as np
import pytest

from jaxseg import losses, metrics

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 6, 7, 4)).astype(np.float32)
LABEL = RNG.integers(0, 4, (2, 6, 7))
LABEL[RNG.random(LABEL.shape) < 0.2] = 255


def check_same(loss, reference):
  """(value, gradient) of ours and of a torch function of the logits."""
  import torch

  x = torch.tensor(LOGITS).permute(0, 3, 1, 2).requires_grad_()
  want = reference(x, torch.tensor(LABEL))
  want.backward()
  got, grad = jax.jit(jax.value_and_grad(lambda x: loss(x).compute()))(LOGITS)
  np.testing.assert_allclose(got, want.item(), rtol=1e-5)
  grad = np.asarray(grad).transpose(0, 3, 1, 2)
  np.testing.assert_allclose(grad, x.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 0.5, 3.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(weights, smoothing):
  import torch

  check_same(
    lambda x: losses.cross_entropy(
      x, LABEL, class_weights=weights, label_smoothing=smoothing
    ),
    lambda x, y: torch.nn.functional.cross_entropy(
      x,
      y,
      weight=None if weights is None else torch.tensor(weights),
      ignore_index=255,
      label_smoothing=smoothing,
    ),
  )


def test_dice_against_smp(torchvision):
  from segmentation_models_pytorch import losses as smp

  reference = smp.DiceLoss("multiclass", ignore_index=255)
  check_same(lambda x: losses.dice(x, LABEL), reference)


def test_sigmoid_focal_against_torchvision(torchvision):
  import torch

  x = RNG.normal(size=(3, 4, 5)).astype(np.float32)
  t = RNG.integers(0, 2, x.shape).astype(np.float32)
  want = torchvision.ops.sigmoid_focal_loss(
    torch.tensor(x), torch.tensor(t), reduction="mean"
  )
  got = jax.jit(losses.sigmoid_focal)(x, t).compute()
  np.testing.assert_allclose(got, want.item(), rtol=1e-5)


def test_binary_cross_entropy():
  import torch

  x = RNG.normal(size=(3, 4, 5)).astype(np.float32)
  t = RNG.random(x.shape).astype(np.float32)
  want = torch.nn.functional.binary_cross_entropy_with_logits(
    torch.tensor(x), torch.tensor(t), pos_weight=torch.tensor(2.0)
  )
  got = losses.binary_cross_entropy(x, t, positive_weight=2.0).compute()
  np.testing.assert_allclose(got, want.item(), rtol=1e-5)


def test_huber():
  import torch

  x, t = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
  want = torch.nn.functional.huber_loss(
    torch.tensor(x), torch.tensor(t), delta=0.7
  )
  got = losses.huber(x, t, delta=0.7).compute()
  np.testing.assert_allclose(got, want.item(), rtol=1e-5)


def test_confusion_against_torchmetrics(torchvision):
  import torch
  from torchmetrics import classification as tm

  pred = RNG.integers(0, 4, LABEL.shape)
  metric = metrics.confusion(4)
  state = metric.update(metric.init(), {"label": pred}, {"label": LABEL})
  got = metric.result(state)
  args = torch.tensor(pred), torch.tensor(LABEL)
  options = {"num_classes": 4, "ignore_index": 255}
  cases = {
    "miou": tm.MulticlassJaccardIndex(average="macro", **options),
    "pixel_accuracy": tm.MulticlassAccuracy(average="micro", **options),
    "mean_accuracy": tm.MulticlassAccuracy(average="macro", **options),
    "dice": tm.MulticlassF1Score(average="macro", **options),
  }
  for name, reference in cases.items():
    want = reference(*args).item()
    assert got[name] == pytest.approx(want, rel=1e-5), name
