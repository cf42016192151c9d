"""Every network of the registry learns eight scenes by heart."""

import functools

import jax
import numpy as np
import optax
import pytest
import quick
from tiny import TINY

from jaxseg import step, tasks
from jaxseg.data import scenes
from jaxseg.encoders import ENCODERS
from jaxseg.metrics import confusion
from jaxseg.models import MODELS
from jaxseg.state import create_state

pytestmark = pytest.mark.slow

TASK = tasks.Semantic(classes=scenes.CLASSES, palette=scenes.PALETTE)
SMALL = ENCODERS["resnet18"](width=16, blocks=(1, 1, 1, 1))
# Wider than where nothing is learnt.
WIDER = {}
# Side of the cells that the logits have before they are enlarged, where that
# is more than a pixel: no network draws finer than that.
CELL = {}
RATE, STEPS = 3e-3, 600


def networks():
  """{name: module}; those that differ in depth alone are one."""
  named = {}
  for name, entry in MODELS.items():
    fields = {**TINY[name], **WIDER.get(name, {})}
    if "encoder" in fields and name != "unet_mobilenet_v2":
      fields["encoder"] = SMALL
    module = entry(outputs=TASK.outputs, **fields)
    named.setdefault(module, name)
  return {name: module for module, name in named.items()}


NETWORKS = networks()


@functools.cache
def eight(cell):
  """Eight scenes of 48 x 64 pixels, their labels constant in every cell."""
  both = [scenes.render_scene(seed) for seed in range(8)]
  image = np.stack([s["image"][::2, ::2] for s in both]) / np.float32(255)
  label = np.stack([s["label"][::2, ::2] for s in both]).astype(np.int32)
  label = label[:, cell // 2 :: cell, cell // 2 :: cell]
  return {"image": image, "label": label.repeat(cell, 1).repeat(cell, 2)}


def learn(model, batch, steps=STEPS, every=50):
  """Mean IoU of evaluation after every so many steps of Adam."""
  tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(RATE))
  state = quick.jit(
    lambda key: create_state(model, tx, (batch["image"],), key, False)
  )(jax.random.key(0))
  train = jax.jit(
    step.make_train_step(model, TASK, tx, lambda _: RATE, seed=0),
    donate_argnums=0,
    compiler_options={"xla_cpu_use_fusion_emitters": False},
  )
  evaluate = quick.jit(
    lambda v: model.apply(v, batch["image"], train=False)["logits"].argmax(-1)
  )
  metric = confusion(len(TASK.classes), TASK.classes)
  for _ in range(0, steps, every):
    for _ in range(every):
      state, _ = train(state, batch)
    pred = {"label": evaluate(state.variables())}
    counts = metric.update(metric.init(), pred, batch)
    yield float(metric.result(counts)["miou"])


@pytest.mark.parametrize("name", NETWORKS)
def test_learns_eight_scenes_by_heart(name):
  curve = []
  for miou in learn(NETWORKS[name], eight(CELL.get(name, 1))):
    curve.append(round(miou, 3))
    if miou > 0.95:
      return
  raise AssertionError(f"mean IoU {curve} in {STEPS} steps")
