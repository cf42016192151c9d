"""Batches of NumPy arrays, deterministic, sharded by host, resumable.

The order is a pure function of (seed, position): global batch k holds the
examples k*B ... k*B + B - 1 of an endless sequence of reshuffled epochs, and
host p of P reads rows p*B/P ... of it. The augmentation of an example depends
on (seed, its position) alone. So a run that goes on from step k, on any number
of hosts, sees what the uninterrupted run would have seen; the position in a
checkpoint is k. Grain does the threads and the prefetching.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import grain
import jax
import numpy as np

from jaxseg.data import missing
from jaxseg.data.cache import Examples
from jaxseg.data.decode import Decoder
from jaxseg.data.sources import Source
from jaxseg.data.transforms import Transform
from jaxseg.types import UserError

HostBatch = dict[str, np.ndarray]

FOREVER = 1 << 50  # examples


@dataclasses.dataclass(frozen=True)
class Shard:
  """Which host this is, of how many."""

  index: int = 0
  count: int = 1

  def local_batch(self, batch_size: int) -> int:
    """Rows of a global batch that this host reads."""
    if batch_size % self.count:
      raise UserError(
        f"config.data.batch_size = {batch_size} is not divisible by the "
        f"{self.count} processes: choose a multiple of {self.count}."
      )
    return batch_size // self.count


def this_host() -> Shard:
  """The shard of this process."""
  return Shard(jax.process_index(), jax.process_count())


def default_threads() -> int:
  """Reading threads: one per core, at most 16."""
  return min(16, len(os.sched_getaffinity(0)))


def _example(
  examples: Examples, index: int, transform: Transform, rng: Any
) -> HostBatch:
  """Example `index`, decoded and transformed; a clip as arrays (t, ...)."""
  fields = transform(examples[index], rng)
  if isinstance(fields, list):
    fields = {key: np.stack([f[key] for f in fields]) for key in fields[0]}
  fields.pop("flip_pairs", None)  # of the transforms alone
  fields["_mask"] = np.bool_(True)
  fields["_id"] = np.int32(index)
  return fields


def _stack(examples: list[HostBatch]) -> HostBatch:
  """Rows to a batch; says which field does not fit, and where."""
  out = {}
  for key in examples[0]:
    rows = [example[key] for example in examples]
    shapes = {np.shape(row) for row in rows}
    if len(shapes) > 1:
      ids = [int(example["_id"]) for example in examples]
      if key == "keypoints":
        raise UserError(
          f"examples {ids} show different numbers of people, keypoints "
          f"{sorted(shapes)}: put 'person' at the head of config.data.augment "
          "and config.data.eval, for the crop around one of them."
        )
      raise UserError(
        f"examples {ids} have {key}s of different sizes {sorted(shapes)}: "
        "end the transforms with 'resize', 'crop' or 'pad'."
      )
    out[key] = np.stack(rows)
  return out


def train_batches(
  source: Source,
  decoder: Decoder,
  transform: Transform,
  *,
  batch_size: int,
  seed: int,
  start: int = 0,
  shard: Shard | None = None,
  threads: int = 0,
  keep: Mapping[str, float] | None = None,
  cache_mb: float = 0,
) -> Iterator[HostBatch]:
  """Endless batches of this host's rows, from global batch `start` on.

  Args:
    source: random access to raw examples.
    decoder: raw record -> fields.
    transform: augmentation of one example.
    batch_size: rows of the global batch, over all hosts.
    seed: of the order and of the augmentation.
    start: number of global batches that were consumed before.
    shard: this host; None asks JAX.
    threads: reading threads; 0 is one per core.
    keep: field -> share of the examples that keep it, see `data.missing`.
    cache_mb: of decoded examples to keep in memory, see `data.cache`.

  Yields:
    image uint8 (b, h, w, 3), label uint8 (b, h, w), ..., _mask, _id.
  """
  shard = shard or this_host()
  threads = threads or default_threads()
  cv2.setNumThreads(1)  # ours are enough: two pools get in each other's way

  examples = Examples(source, decoder, cache_mb)
  n = len(source)

  @functools.lru_cache(maxsize=4)
  def order(epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n)

  def load(position: int, rng: np.random.Generator) -> HostBatch:
    # Our own shuffle: Grain's costs a millisecond per example.
    index = int(order(position // n)[position % n])
    fields = _example(examples, index, transform, rng)
    return missing.withhold(fields, index, keep or {}, seed)

  dataset = (
    grain.MapDataset.range(FOREVER)  # batches may straddle epochs
    .seed(seed)
    .random_map(load)
    .batch(shard.local_batch(batch_size), batch_fn=_stack)[
      shard.index :: shard.count
    ]
  )
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
  iterator = iter(dataset.to_iter_dataset(options))
  if start:
    iterator.set_state({**iterator.get_state(), "next_index": start})
  return _plain(iterator)


def _plain(iterator: Iterator[HostBatch]) -> Iterator[HostBatch]:
  """Passes batches on; a user's mistake in a reading thread stays one."""
  while True:
    try:
      yield next(iterator)
    except StopIteration:
      return
    except Exception as e:
      cause: BaseException | None = e
      while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__ or cause.__context__
      if cause is None:
        raise
      raise UserError(str(cause)) from None


def eval_batches(
  source: Source,
  decoder: Decoder,
  transform: Transform,
  *,
  batch_size: int,
  shard: Shard | None = None,
  threads: int = 0,
  limit: int = 0,
) -> Iterator[HostBatch]:
  """Every example exactly once; the last batch is padded, `_mask` says where.

  The number of batches is equal on all hosts. `limit` takes the first that
  many examples; 0 is all.
  """
  shard = shard or this_host()
  threads = threads or default_threads()
  n = min(limit or len(source), len(source))
  total = num_eval_batches(n, batch_size) * batch_size
  examples = Examples(source, decoder)
  rng = np.random.default_rng(0)  # eval transforms draw nothing

  def load(position: int) -> HostBatch:
    out = _example(examples, min(position, n - 1), transform, rng)
    if position >= n:
      out["_mask"] = np.bool_(False)
    return out

  dataset = (
    grain.MapDataset.range(total)
    .map(load)
    .batch(shard.local_batch(batch_size), batch_fn=_stack)[
      shard.index :: shard.count
    ]
  )
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
  return _plain(iter(dataset.to_iter_dataset(options)))


def num_eval_batches(examples: int, batch_size: int) -> int:
  """How many batches `eval_batches` yields."""
  return -(-examples // batch_size)
