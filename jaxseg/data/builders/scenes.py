"""TFDS builder of the embedded scenes, `jaxseg_scenes/stills` and `/clips`.

Nothing is downloaded: example i of a split is rendered from `seed_of(split,
i)`. Written and read as array_record, without TensorFlow. Fields, shapes and
units: `jaxseg.data.scenes.scene`; in clips every field has a leading time
axis. Record i of a split is example i. Maps of stills are PNG images (decoded
to (h, w, 1)), those of clips deflated arrays (t, h, w); the rest is exact
float32.

Reading, with PNG bytes in place of the decoded images of stills:
  source = prepare(data_dir).as_data_source("train", decoders=SKIP)
TFDS cannot skip the decoding of a sequence of images, hence the arrays in
clips, which are read without decoders.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os

import cv2
import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data import scenes
from jaxseg.types import UserError

SPLITS = ("train", "val", "test")
IMAGES = ("image", "label", "instance")
SKIP = {key: tfds.decode.SkipDecoding() for key in IMAGES}
_FEW = 40  # frames that are rendered before a second process is up


def seed_of(split: str, index: int) -> int:
  """Seed of example `index` of a split; splits never share a seed."""
  return SPLITS.index(split) * 1_000_000 + index


@dataclasses.dataclass(eq=False)
class ScenesConfig(tfds.core.BuilderConfig):
  """Number of examples per split, frames (0 = stills) and image size."""

  train: int = 600
  val: int = 100
  test: int = 100
  frames: int = 0
  size: tuple[int, int] = (96, 128)


def example(
  split: str, index: int, frames: int, size: tuple[int, int]
) -> dict[str, object]:
  """One record: `render_clip`, or `render_scene` with PNG bytes for IMAGES."""
  seed = seed_of(split, index)
  if frames:
    out = scenes.render_clip(seed, frames, size)
  else:
    out = scenes.render_scene(seed, size)
    out.update({key: _png(out[key]) for key in IMAGES})
  return out


def _png(image: np.ndarray) -> bytes:
  bgr = image[..., ::-1] if image.ndim == 3 else image
  return cv2.imencode(".png", np.ascontiguousarray(bgr))[1].tobytes()


class JaxsegScenes(tfds.core.GeneratorBasedBuilder):
  """Ray-cast scenes with the truth of every dense task."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
  BUILDER_CONFIGS = [  # noqa: RUF012
    ScenesConfig(name="stills", description="Single images."),
    ScenesConfig(
      name="clips",
      description="Eight frames; camera and things move.",
      train=40,
      val=8,
      test=0,
      frames=8,
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    config, f = self.builder_config, tfds.features
    h, w = config.size
    lead = (config.frames,) if config.frames else ()

    def tensor(*shape: int | None, dtype=np.float32, zlib: bool = False):
      coding = f.Encoding.ZLIB if zlib else f.Encoding.BYTES
      return f.Tensor(shape=lead + shape, dtype=dtype, encoding=coding)

    def image(*channels: int):
      if lead:
        return tensor(h, w, *channels, dtype=np.uint8, zlib=True)
      shape = (h, w, *(channels or (1,)))
      return f.Image(shape=shape, dtype=np.uint8, encoding_format="png")

    features = {
      "image": image(3),
      "label": image(),
      "instance": image(),
      "depth": tensor(h, w, zlib=True),
      "normal": tensor(h, w, 3, zlib=True),
      "boxes": tensor(None, 5),
      "keypoints": tensor(None, len(scenes.JOINTS), 3),
      "camera": tensor(4),
      "pose": tensor(4, 4),
      "motion": tensor(4, 4),
    }
    return tfds.core.DatasetInfo(
      builder=self,
      description="Ground, sky, solids and people, ray-cast from a seed.",
      features=f.FeaturesDict(features),
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # nothing to download
    sizes = {split: getattr(self.builder_config, split) for split in SPLITS}
    return {s: self._generate_examples(s, n) for s, n in sizes.items() if n}

  def _generate_examples(self, split: str, count: int):
    """(key, record) in order of index, from as many processes as cores."""
    config = self.builder_config
    make = functools.partial(
      example, split, frames=config.frames, size=config.size
    )
    workers = min(os.cpu_count() or 1, count)
    if workers < 2 or count * max(config.frames, 1) <= _FEW:
      yield from enumerate(map(make, range(count)))
      return
    # Fresh processes: forking one that runs JAX threads can hang.
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, spawn) as pool:
      yield from enumerate(pool.map(make, range(count), chunksize=2))


def prepare(
  data_dir: str, config: str | ScenesConfig = "stills"
) -> JaxsegScenes:
  """The builder with its data in `data_dir`, rendered there once if missing.

  Takes about half a minute for the stills on two cores. Processes are
  spawned: a script that calls this at import time needs the usual
  `if __name__ == "__main__"` guard.

  Raises:
    UserError: no config of that name.
  """
  names = [c.name for c in JaxsegScenes.BUILDER_CONFIGS]
  if isinstance(config, str) and config not in names:
    raise UserError(
      f"jaxseg_scenes has no config {config!r}: choose one of "
      f"{', '.join(names)}."
    )
  builder = JaxsegScenes(
    data_dir=data_dir, config=config, file_format="array_record"
  )
  builder.download_and_prepare(
    file_format="array_record",
    download_config=tfds.download.DownloadConfig(try_download_gcs=False),
  )
  return builder
