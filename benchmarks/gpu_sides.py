"""The two sides of `benchmarks.gpu`: each measures one network in its process.

Nothing of either is imported before it is measured: the memory is its own.
"""

from __future__ import annotations

import functools
import os
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

from benchmarks import filling
from benchmarks.gpu_networks import Network, make_model, make_peer

MODES = ("forward", "step")


def ours(network: Network, plan: filling.Plan, folder: str) -> dict[str, Any]:
  """Our figures."""
  import jax
  import jax.numpy as jnp
  import optax

  from jaxseg import compiling, state, step, tasks
  from jaxseg.analysis import cost
  from jaxseg.types import canonical

  device = jax.devices()[0]
  model = make_model(network, plan.small)
  k = network.classes
  task = tasks.Semantic(tuple(map(str, range(k))), ((0, 0, 0),) * k)
  tx = optax.sgd(0.01, momentum=0.9)
  train = step.make_train_step(model, task, tx, lambda _: 0.01, seed=0)
  size = network.pixels(plan.small)
  blank = jnp.zeros((1, size, size, 3))
  # Runs seldom: on a CPU optimizing it costs most of the time.
  quick = {"xla_backend_optimization_level": 0}
  start = compiling.jit(
    lambda key: state.create_state(model, tx, (blank,), key, False),
    compiler_options=quick if device.platform == "cpu" else None,
  )

  def predict(variables, image):
    image = canonical({"image": image})["image"]
    return task.predict(model.apply(variables, image, train=False))["label"]

  def timed(run: Callable[[], Any], n: int) -> float:
    began = time.perf_counter()
    for _ in range(n):
      last = run()
    jax.block_until_ready(last)
    return time.perf_counter() - began

  @functools.cache
  def compiled(mode: str, batch: int) -> Any:
    abstract = jax.eval_shape(start, jax.random.key(0))
    data = filling.batch(batch, size, k)
    if mode == "step":
      jitted = compiling.jit(train, donate_argnums=0)
      return jitted.lower(abstract, data).compile()
    jitted = compiling.jit(predict)
    return jitted.lower(abstract.variables(), data["image"]).compile()

  def prepare(mode: str, batch: int) -> tuple[Callable[[], Any], dict]:
    program = compiled(mode, batch)
    data = jax.device_put(filling.batch(batch, size, k))
    box = [start(jax.random.key(0))]

    def run_step():
      box[0], logs = program(box[0], data)
      return logs["loss"]

    def run_forward():
      return program(box[0].variables(), data["image"])

    counted = program.cost_analysis() or {}
    planned = program.memory_analysis()
    facts = {"xla_flop_per_image": counted.get("flops", 0.0) / batch}
    if planned is not None:
      facts["planned_bytes"] = (
        planned.argument_size_in_bytes + planned.temp_size_in_bytes
      )
    return (run_step if mode == "step" else run_forward), facts

  def memory() -> int | None:
    return (device.memory_stats() or {}).get("peak_bytes_in_use")

  def profile(run: Callable[[], Any]) -> str:
    place = pathlib.Path(folder) / "profile" / network.name
    with jax.profiler.trace(str(place)):
      timed(run, 3)
    return str(place)

  counted = cost.count(model, blank)
  report = filling.fill(
    plan,
    MODES,
    prepare,
    timed,
    memory,
    is_full=lambda e: "RESOURCE_EXHAUSTED" in str(e),
    profile={"step": profile},
  )
  n = plan.matrix
  square = jnp.ones((n, n), jnp.bfloat16)
  product = compiling.jit(lambda a: a @ a)
  return {
    "device": device.device_kind,
    "platform": device.platform,
    "versions": {"jax": jax.__version__},
    "parameters": counted.parameters,
    # Not those of resizing, which torch does not do by products.
    "macs_per_image": sum(r.macs for r in counted.rows if r.path != cost.OTHER),
    "matrix_tflops": filling.matrix_rate(plan, lambda: product(square), timed),
    **report,
  }


def theirs(network: Network, plan: filling.Plan, compiled: bool) -> dict:
  """PyTorch's figures."""
  import torch
  from torch.nn import functional

  cuda = torch.cuda.is_available()
  device = "cuda" if cuda else "cpu"
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  torch.set_float32_matmul_precision("high")
  torch.backends.cudnn.benchmark = True
  torch.manual_seed(0)
  model = make_peer(network, plan.small).to(device)
  model = model.to(memory_format=torch.channels_last)
  optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
  net = torch.compile(model) if compiled else model
  half = torch.autocast(device, torch.bfloat16)
  size = network.pixels(plan.small)

  def timed(run: Callable[[], Any], n: int) -> float:
    if not cuda:
      began = time.perf_counter()
      for _ in range(n):
        run()
      return time.perf_counter() - began
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    events[0].record()
    for _ in range(n):
      run()
    events[1].record()
    torch.cuda.synchronize()
    return events[0].elapsed_time(events[1]) / 1e3

  def prepare(mode: str, batch: int) -> tuple[Callable[[], Any], dict]:
    if cuda:
      torch.cuda.empty_cache()
      torch.cuda.reset_peak_memory_stats()
    data = filling.batch(batch, size, network.classes)
    image = torch.from_numpy(data["image"]).to(device)
    label = torch.from_numpy(data["label"]).to(device)

    def picture():  # (b, h, w, 3) bytes are channels_last already
      return image.permute(0, 3, 1, 2).float() / 255

    def train_step():
      optimizer.zero_grad(set_to_none=True)
      with half:
        out = net(picture())
      truth = label.long()
      losses = [functional.cross_entropy(x.float(), truth) for x in out]
      loss = losses[0] + 0.4 * sum(losses[1:])
      loss.backward()
      optimizer.step()

    def forward():
      with torch.inference_mode(), half:
        return net(picture()).argmax(1)

    model.train(mode == "step")
    return (train_step if mode == "step" else forward), {}

  def memory() -> int | None:
    return torch.cuda.max_memory_allocated() if cuda else None

  report = filling.fill(
    plan,
    MODES,
    prepare,
    timed,
    memory,
    is_full=lambda e: "out of memory" in str(e).lower(),
  )
  n = plan.matrix
  square = torch.ones((n, n), dtype=torch.bfloat16, device=device)
  with torch.inference_mode():
    rate = filling.matrix_rate(plan, lambda: square @ square, timed)
  return {
    "device": torch.cuda.get_device_name() if cuda else platform.machine(),
    "platform": device,
    "versions": {"torch": torch.__version__},
    "parameters": sum(p.numel() for p in model.parameters()),
    "matrix_tflops": rate,
    **report,
  }
