"""One experiment, built: everything that the loops need, as arguments.

`build.experiment(config)` makes it; `train`, `evaluate`, `predict` and
`export` take it. They know no model, task or data set by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxseg import answer, compiling
from jaxseg import mesh as mesh_lib
from jaxseg.state import State, create_state
from jaxseg.types import Metric

HostBatch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Split:
  """A split that is evaluated.

  Attributes:
    name: 'val' or 'test'.
    examples: how many are evaluated.
    batches: how many batches that makes, equal on all hosts.
    open: () -> iterator over this host's padded batches.
  """

  name: str
  examples: int
  batches: int
  open: Callable[[], Iterator[HostBatch]]


@dataclasses.dataclass(frozen=True)
class Experiment:
  """See the module.

  Attributes:
    config: plain values, as written to config.json.
    mesh: the devices.
    model: Linen module.
    task: types.Task.
    make_tx: parameters (or shapes) -> optax transformation.
    schedule: step -> learning rate.
    pretrained: variables -> (variables with published weights, what was
      done), or None; asked by a run that starts, not by one that goes on.
    predict: inference.build's (variables, *inputs) -> {name: array}.
    seed: of parameters, dropout and noise.
    steps: length of the run.
    batch_size: rows of a global batch.
    accumulate: micro-batches per step.
    ema_decay: 0: no average.
    examples: size of the training split.
    train_batches: first global batch -> endless iterator, this host's rows.
    splits: what can be evaluated, by name.
    audit: () -> report on the training labels, or None.
    name_of: (split, position) -> what to call an example.
    log_every, eval_every, checkpoint_every: in steps.
    keep: checkpoints that are kept beside the best.
    best: (metric, 'min' or 'max').
    tensorboard: write event files.
    size: (h, w) that the network works at.
    application: types.Application of the task's answers, or None.
    remat: what the step computes again, see `remat.selector`.
    fsdp: whether the state is spread over devices.
  """

  config: dict[str, Any]
  mesh: Mesh
  model: Any
  task: Any
  make_tx: Callable[[Any], Any]
  schedule: Callable[[Any], Any]
  pretrained: Callable[[Any], tuple[Any, str]] | None
  predict: Callable[[Any, Any], dict[str, Any]]
  seed: int
  steps: int
  batch_size: int
  accumulate: int
  ema_decay: float
  examples: int
  train_batches: Callable[[int], Iterator[HostBatch]]
  splits: dict[str, Split]
  audit: Callable[[], Any]
  name_of: Callable[[str, int], str]
  log_every: int
  eval_every: int
  checkpoint_every: int
  keep: int
  best: tuple[str, str]
  tensorboard: bool
  size: tuple[int, int]
  application: Any = None
  remat: str = ""
  fsdp: bool = False

  def metrics(self) -> dict[str, Metric]:
    """Those of the task, and of what its answers are used for."""
    own = self.task.metrics()
    return own if self.application is None else own | self.application.metrics()

  @property
  def epoch_steps(self) -> float:
    """Steps per pass over the training split."""
    return self.examples / self.batch_size

  def init_inputs(self) -> tuple[Any, ...]:
    """Example inputs of the model; sizes as in training."""
    shapes = answer.blank_inputs(self.task, self.size)
    return tuple(jax.numpy.zeros(x.shape, x.dtype) for x in shapes)

  def abstract_state(self) -> State:
    """Shapes, dtypes and shardings of the state; computes nothing."""
    shapes = jax.eval_shape(self._create)
    return jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      shapes,
      mesh_lib.state_sharding(self.mesh, shapes, self.fsdp),
    )

  def state_sharding(self) -> State:
    """Where every array of the state is."""
    return jax.tree.map(lambda x: x.sharding, self.abstract_state())

  def initial_state(self, note: Callable[[str], None] = print) -> State:
    """A fresh state on the devices of the mesh.

    Args:
      note: told what published weights were loaded.
    """
    options = {}
    if self.mesh.devices.flat[0].platform == "cpu":
      # Runs once; optimizing it costs 7 times as long as all the rest of it.
      options = {"xla_backend_optimization_level": 0}
    state = compiling.jit(
      self._create,
      out_shardings=self.state_sharding(),
      compiler_options=options,
    )()
    return state if self.pretrained is None else self._load(state, note)

  def _load(self, state: State, note: Callable[[str], None]) -> State:
    """The state with published weights; every host reads its own file."""
    host = mesh_lib.to_host({"params": state.params, **state.model_state})
    variables, text = self.pretrained(host)
    note(text)

    def put():  # anew for each use: the step donates its state
      sharding = mesh_lib.state_sharding(self.mesh, variables, self.fsdp)
      return jax.device_put(variables, sharding)

    rest = put()
    state = state.replace(params=rest.pop("params"), model_state=rest)
    if state.ema is None:
      return state
    rest = put()
    return state.replace(
      ema={"params": rest.pop("params"), "model_state": rest}
    )

  def _create(self) -> State:
    key = jax.random.key(self.seed)
    inputs = self.init_inputs()
    params = jax.eval_shape(lambda: self.model.init(key, *inputs, train=False))[
      "params"
    ]
    tx = self.make_tx(params)
    return create_state(self.model, tx, inputs, key, self.ema_decay > 0)
