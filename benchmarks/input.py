"""The input pipeline beside others: images per second, same work, same run.

python -m benchmarks.input [--images=500] [--seconds=8] [--out=FILE.json]

All read the same JPEGs of 500x375 and PNG masks from files, decode, cut a
random 256x256 window, flip, and batch 16: uint8 images, int32 labels; with
--scale they zoom by a random factor in 0.75-1.5 before the cut. 'cached' is
ours with config.data.cache_mb, after the first epoch. The pipelines take turns,
three rounds each, in processes of their own; the figures are images per second,
median and all rounds. tf.data is measured where TensorFlow is installed (pip
install -e .[tensorflow]), torch's DataLoader, with Pillow and a worker process
per core, where torch is (make parity).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time

import cv2
import numpy as np

from benchmarks import report

BATCH, SIZE, ROUNDS = 16, 256, 3


def write_images(folder: pathlib.Path, count: int) -> None:
  """JPEGs with the statistics of photographs, and masks of a few regions."""
  rng = np.random.default_rng(0)
  (folder / "images").mkdir()
  (folder / "masks").mkdir()
  for i in range(count):
    image = np.zeros((375, 500, 3), np.float32)
    for octave in (4, 8, 16, 32, 64, 128):  # noise of falling amplitude
      shape = (octave * 3 // 4, octave, 3)
      noise = rng.normal(size=shape).astype(np.float32) * 60 / octave**0.5
      image += cv2.resize(noise, (500, 375), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image + 128, 0, 255).astype(np.uint8)
    mask = rng.integers(0, 3, (6, 8)).astype(np.uint8)
    mask = cv2.resize(mask, (500, 375), interpolation=cv2.INTER_NEAREST)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    cv2.imwrite(str(folder / f"images/{i:04d}.jpg"), image, quality)
    cv2.imwrite(str(folder / f"masks/{i:04d}.png"), mask)


def jaxseg_batches(folder: str, scale: bool, cache_mb: float = 0):
  """Our pipeline, as training uses it."""
  from jaxseg.data import decode, pipeline, sources, transforms
  from jaxseg.data import folder as folder_lib

  spec = folder_lib.folder_spec(
    images=f"{folder}/images",
    masks=f"{folder}/masks",
    classes="a,b,c",
    val_fraction=0.01,
  )
  return pipeline.train_batches(
    sources.open_source(spec, "train"),
    decode.decoder_of(spec),
    transforms.parse(
      "random_scale(0.75, 1.5)|crop|flip" if scale else "crop|flip",
      (SIZE, SIZE),
    ),
    batch_size=BATCH,
    seed=0,
    shard=pipeline.Shard(),
    cache_mb=cache_mb,
  )


def cached_batches(folder: str, scale: bool):
  """Ours, when every example has been decoded once."""
  count = len(os.listdir(f"{folder}/images"))
  batches = jaxseg_batches(folder, scale, cache_mb=count)  # 0.75 MB each
  for _ in range(-(-count // BATCH)):
    next(batches)
  return batches


def tf_batches(folder: str, scale: bool):
  """A plain tf.data pipeline with AUTOTUNE, the same transforms."""
  import tensorflow as tf

  def load(name):
    image = tf.io.decode_jpeg(tf.io.read_file(folder + "/images/" + name))
    stem = tf.strings.substr(name, 0, 4)
    mask = tf.io.read_file(folder + "/masks/" + stem + ".png")
    mask = tf.io.decode_png(mask, channels=1)
    if scale:
      low, high = tf.math.log(0.75), tf.math.log(1.5)
      factor = tf.exp(tf.random.uniform([], low, high))
      shape = tf.cast(tf.shape(image)[:2], tf.float32) * factor
      shape = tf.cast(tf.round(shape), tf.int32)
      image = tf.cast(tf.round(tf.image.resize(image, shape)), tf.uint8)
      mask = tf.image.resize(mask, shape, "nearest")
    both = tf.concat([image, mask], -1)
    h = tf.maximum(tf.shape(both)[0], SIZE)
    w = tf.maximum(tf.shape(both)[1], SIZE)
    both = tf.image.pad_to_bounding_box(both, 0, 0, h, w)
    both = tf.image.random_crop(both, (SIZE, SIZE, 4))
    both = tf.image.random_flip_left_right(both)
    return both[..., :3], tf.cast(both[..., 3], tf.int32)

  names = sorted(os.listdir(f"{folder}/images"))
  return (
    tf.data.Dataset.from_tensor_slices(names)
    .shuffle(len(names))
    .repeat()
    .map(load, num_parallel_calls=tf.data.AUTOTUNE)
    .batch(BATCH)
    .prefetch(tf.data.AUTOTUNE)
    .as_numpy_iterator()
  )


@dataclasses.dataclass(frozen=True)
class Pairs:
  """A map-style data set of torch; of the module, so that workers get it.

  Attributes:
    folder: of images/ and masks/.
    names: of the images.
    scale: random scaling.
  """

  folder: str
  names: tuple[str, ...]
  scale: bool

  def __len__(self):
    return len(self.names)

  def __getitem__(self, index):
    import PIL.Image
    import torch

    name = self.names[index]
    image = PIL.Image.open(f"{self.folder}/images/{name}").convert("RGB")
    mask = PIL.Image.open(f"{self.folder}/masks/{name[:4]}.png")
    if self.scale:
      low, high = np.log(0.75), np.log(1.5)
      factor = float(torch.empty(()).uniform_(low, high).exp())
      size = tuple(round(n * factor) for n in image.size)
      image = image.resize(size, PIL.Image.Resampling.BILINEAR)
      mask = mask.resize(size, PIL.Image.Resampling.NEAREST)
    # Copies, for what Pillow gives cannot be written to.
    image = torch.from_numpy(np.array(image))
    mask = torch.from_numpy(np.array(mask))
    h, w = mask.shape
    if min(h, w) < SIZE:
      pad = (0, max(SIZE - w, 0), 0, max(SIZE - h, 0))
      mask = torch.nn.functional.pad(mask, pad)
      image = torch.nn.functional.pad(image, (0, 0, *pad))
      h, w = mask.shape
    y = int(torch.randint(0, h - SIZE + 1, ()))
    x = int(torch.randint(0, w - SIZE + 1, ()))
    image, mask = (a[y : y + SIZE, x : x + SIZE] for a in (image, mask))
    if torch.rand(()) < 0.5:
      image, mask = image.flip(1), mask.flip(1)
    return image.contiguous(), mask.int()


def torch_batches(folder: str, scale: bool):
  """A map-style data set in a DataLoader."""
  import torch

  loader = torch.utils.data.DataLoader(
    Pairs(folder, tuple(sorted(os.listdir(f"{folder}/images"))), scale),
    BATCH,
    shuffle=True,
    drop_last=True,
    num_workers=len(os.sched_getaffinity(0)),
    persistent_workers=True,
  )
  while True:
    yield from loader


PIPELINES = {
  "jaxseg": jaxseg_batches,
  "cached": cached_batches,
  "tf.data": tf_batches,
  "torch": torch_batches,
}
# Who is measured only where a package is installed.
NEEDS = {"tf.data": "tensorflow", "torch": "torch"}


def measure(name: str, folder: str, scale: bool, seconds: float, queue):
  """Images per second of one pipeline, after a second of warming up."""
  batches = PIPELINES[name](folder, scale)
  end = time.perf_counter() + 1.5
  while time.perf_counter() < end:
    next(batches)
  start, count = time.perf_counter(), 0
  while time.perf_counter() - start < seconds:
    batch = next(batches)
    if isinstance(batch, dict):
      batch["label"].astype(np.int32)  # as the peer delivers it
    count += BATCH
  queue.put(count / (time.perf_counter() - start))


def main() -> int:
  """Prints a line per pipeline and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--images", type=int, default=500)
  parser.add_argument("--seconds", type=float, default=8.0)
  parser.add_argument("--scale", action="store_true")
  parser.add_argument("--out", default="")
  options = parser.parse_args()
  names = [
    name
    for name in PIPELINES
    if name not in NEEDS or importlib.util.find_spec(NEEDS[name])
  ]
  for name in PIPELINES.keys() - names:
    print(f"{name}: {NEEDS[name]} is not installed, no peer to measure")
  rates: dict[str, list[float]] = {name: [] for name in names}
  spawn = multiprocessing.get_context("spawn")
  with tempfile.TemporaryDirectory() as folder:
    write_images(pathlib.Path(folder), options.images)
    for _ in range(ROUNDS):
      for name in names:
        queue = spawn.Queue()
        args = (name, folder, options.scale, options.seconds, queue)
        process = spawn.Process(target=measure, args=args)
        process.start()
        rates[name].append(queue.get(timeout=120))
        process.join()
  median = {name: statistics.median(values) for name, values in rates.items()}
  for name, values in rates.items():
    rounds = ", ".join(f"{v:.0f}" for v in values)
    print(f"{name:8s} {median[name]:6.0f} images/s  ({rounds})")
  ratios = {
    name: median["jaxseg"] / rate
    for name, rate in median.items()
    if name in NEEDS
  }
  for name, ratio in ratios.items():
    print(f"jaxseg / {name:8s} {ratio:5.2f}")
  report.write(
    options.out,
    "input",
    packages=(*report.PACKAGES, "grain", "tensorflow", "torch"),
    images_per_second=rates,
    median=median,
    ratio=ratios,
  )
  return 0


if __name__ == "__main__":
  sys.exit(main())
