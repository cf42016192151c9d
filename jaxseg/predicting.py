"""Predicts files: images in; id maps, arrays, overlays and a contact sheet out.

Files stream: one thread reads ahead, the device predicts, another thread
writes, so memory holds a few images however many there are. For an input
`a/cat.jpg` the folder of results gets, by what the task predicts,

  label   a/cat.png    ids as a palette PNG, at the size of the input
  depth   a/cat.npy    float32 metres; of streams also a/cat.png, 16 bits,
                       millimetres, 0 where nothing is known
  image   a/cat.png    RGB
  others  a/cat_KEY.npy (keypoints: (1, k, 3), x, y in pixels, score)
  discs   a/cat_discs.json, and other documents of an application
  and     a/cat_overlay.jpg, a/cat_depth.jpg, a/cat_normal.jpg ...: pictures
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from rich.console import Console

from jaxseg import compiling, progress, sheets, viz, writers
from jaxseg.data import images
from jaxseg.serving import paths as paths_lib
from jaxseg.types import UserError

Prediction = Mapping[str, np.ndarray]
Render = Callable[[np.ndarray, Prediction], dict[str, np.ndarray]]

# Of pictures, on the contact sheet, where there is one of them.
TITLES = dict.fromkeys(
  ("overlay", "depth", "normal", "boundary", "segments", "image"), "prediction"
)
AHEAD = 3  # images read before their turn


@dataclasses.dataclass(frozen=True)
class Item:
  """One image to predict.

  Attributes:
    name: relative name of its results, without ending.
    load: () -> image uint8 (h, w, 3), and pictures of the truth by name, for
      the contact sheet ({} where there is none); may raise UserError.
    where: what to call it in a message.
    more: what `predict` gets behind the image, such as the camera's pose.
  """

  name: str
  load: Callable[[], tuple[np.ndarray, dict[str, np.ndarray]]]
  where: str = ""
  more: tuple[Any, ...] = ()


def predict_files(
  predict: Callable[[np.ndarray], Prediction],
  patterns: Sequence[str | os.PathLike],
  out_dir: str | os.PathLike,
  **options: Any,
) -> int:
  """Predicts every file and writes the results; see `predict_items`.

  Folders of the inputs are kept below the deepest folder that all share, and
  two files that differ only in their ending keep it in the result's name.

  Args:
    predict: see `predict_items`.
    patterns: files, folders and globs, see `data.images.list_images`.
    out_dir: folder of the results, made if missing.
    **options: see `predict_items`.
  """
  paths = images.list_images(patterns)
  names = paths_lib.result_names(paths)
  targets = [pathlib.Path(out_dir, name) for name in names]
  paths_lib.refuse_overwriting(paths, targets)

  def loader(path):
    return lambda: (images.read_image(path), {})

  items = [
    Item(name, loader(path), str(path)) for name, path in zip(names, paths)
  ]
  return predict_items(predict, items, out_dir, **options)


def predict_items(
  predict: Callable[..., Prediction],
  items: Sequence[Item],
  out_dir: str | os.PathLike,
  *,
  task: Any = None,
  application: Any = None,
  console: Console | None = None,
  render: Render | None = None,
  sheet: int = 12,
) -> int:
  """Predicts images and writes the results; see the head of the module.

  Args:
    predict: image uint8 (h, w, 3) -> {name: array (h, w, ...)}, for any size;
      `native` with its variables bound. Called in the order of the items,
      with each one's `more` behind the image.
    items: what to predict.
    out_dir: folder of the results, made if missing.
    task: its `palette` and `classes`, if any, colour and name class ids (the
      VOC colours by default), its `bones` and `flip_pairs` join keypoints.
    application: types.Application that goes on from what `predict` says.
    console: for the progress bar and warnings.
    render: (image, prediction) -> {name: picture}; `pictures` by default.
    sheet: how many inputs `contact_sheet.jpg` shows; 0 writes none.

  Returns:
    The number of images predicted.

  Raises:
    UserError: files that could not be read (after all others are done; the
      text names them), or a folder that cannot be written.
  """
  out_dir = pathlib.Path(out_dir)
  console = console or writers.make_console()
  palette = getattr(task, "palette", viz.voc_palette())
  lines = {k: getattr(task, k, ()) for k in ("bones", "flip_pairs")}
  draw = render or (lambda image, pred: pictures(image, pred, palette, **lines))
  failures: list[str] = []
  shown = _Sheet(sheet)
  with (
    progress.counted(console, "predict", len(items)) as done,
    ThreadPoolExecutor(1) as reader,
    ThreadPoolExecutor(1) as writer,
  ):
    written: Future | None = None
    for item, loaded in _read_ahead(reader, items):
      try:
        image, truth = loaded.result()
      except UserError as e:
        done()
        failures.append(str(e))
        console.print(f"skipped: {e}", markup=False, style="yellow")
        continue
      try:
        pred = predict(image, *item.more)
      except Exception as e:
        e.add_note(f"while predicting {item.where or item.name}")
        raise
      if written is None:
        compiling.settle()  # the first image has compiled
      drawn = draw(image, pred)
      if application is not None:
        try:
          pred = application.answer(pred)
        except UserError as e:
          raise UserError(f"{item.where or item.name}: {e}") from e
        drawn = application.render(image, pred, drawn)
      titled = drawn
      if len(drawn) == 1:
        titled = {TITLES.get(k, k): picture for k, picture in drawn.items()}
      shown.add(item.name, image, {**truth, **titled})
      if written:
        written.result()  # one at a time, and its errors surface here
      target = out_dir / item.name
      written = writer.submit(_write, target, pred, drawn, palette)
      done()
    if written:
      written.result()
  if shown.rows:
    legend = sheets.class_legend(getattr(task, "classes", ()), palette)
    page = sheets.contact_sheet(
      shown.rows, shown.titles, legend, names=shown.names
    )
    _save(out_dir / "contact_sheet.jpg", page)
  paths_lib.tell_failures(failures, len(items), out_dir)
  return len(items)


@dataclasses.dataclass
class _Sheet:
  """Thumbnails of the first images, for the contact sheet."""

  limit: int
  titles: list[str] = dataclasses.field(default_factory=list)
  rows: list[list[np.ndarray]] = dataclasses.field(default_factory=list)
  names: list[str] = dataclasses.field(default_factory=list)

  def add(self, name, image, drawn) -> None:
    if len(self.rows) < self.limit:
      self.titles = ["image", *drawn]
      self.rows.append(sheets.row((image, *drawn.values()), (192, 256)))
      self.names.append(name)


def pictures(
  image: np.ndarray,
  pred: Prediction,
  palette: viz.Palette,
  bones: Sequence[Sequence[int]] = (),
  flip_pairs: Sequence[Sequence[int]] = (),
) -> dict[str, np.ndarray]:
  """What to show of a prediction: {name: uint8 (h, w, 3)}."""
  shown = {}
  if "label" in pred:
    shown["overlay"] = viz.overlay(image, pred["label"], palette)
  if "keypoints" in pred:
    shown["overlay"] = viz.skeleton(image, pred["keypoints"], bones, flip_pairs)
  if "depth" in pred:
    picture, (low, high) = viz.depth_colors(pred["depth"])
    bar = sheets.scale_bar(low, high, picture.shape[0])
    shown["depth"] = np.hstack([picture, bar])
  if "normal" in pred:
    shown["normal"] = viz.normal_colors(pred["normal"])
  if "boundary" in pred:
    shown["boundary"] = viz.ink(pred["boundary"])
  if "segments" in pred:
    shown["segments"] = viz.outline(image, pred["segments"])
  if "image" in pred:
    shown["image"] = viz.to_bytes(pred["image"])
  return shown


def _read_ahead(
  reader: ThreadPoolExecutor, items: Sequence[Item]
) -> Iterator[tuple[Item, Future]]:
  """Yields (item, future of its load), a few reads ahead of the caller."""
  waiting: collections.deque = collections.deque()
  for item in items:
    waiting.append((item, reader.submit(item.load)))
    if len(waiting) > AHEAD:
      yield waiting.popleft()
  while waiting:
    yield waiting.popleft()


def _write(
  target: pathlib.Path,
  pred: Prediction,
  drawn: Mapping[str, np.ndarray],
  palette: viz.Palette,
) -> None:
  """Writes all results of one image; `target` has no ending."""
  try:
    target.parent.mkdir(parents=True, exist_ok=True)
    for key, value in pred.items():
      if key == "label" and len(palette) <= 256:
        images.write_png_palette(f"{target}.png", value, palette)
      elif key == "label":
        _save(f"{target}.png", value.astype(np.uint16))
      elif key == "image":
        _save(f"{target}.png", viz.to_bytes(value))
      elif key == "depth_mm":
        _save(f"{target}.png", value)
      elif isinstance(value, dict):
        text = json.dumps(value, indent=2) + "\n"
        pathlib.Path(f"{target}_{key}.json").write_text(text)
      elif key == "depth":
        np.save(f"{target}.npy", value.astype(np.float32))
      else:
        np.save(f"{target}_{key}.npy", value)
  except OSError as e:
    raise UserError(
      f"the results of {target} cannot be written ({e.strerror or e}): check "
      "the folder's permissions and the space on the disk."
    ) from e
  for key, picture in drawn.items():
    if key not in ("image", "label"):  # written above
      _save(f"{target}_{key}.jpg", picture)


def _save(path: str | os.PathLike, picture: np.ndarray) -> None:
  """uint8 RGB or uint16 grey to PNG or JPEG, by the ending."""
  if picture.ndim == 3:
    picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
  suffix = pathlib.Path(path).suffix
  options = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else []
  data: Any = cv2.imencode(suffix, picture, options)[1]
  try:
    pathlib.Path(path).write_bytes(data.tobytes())
  except OSError as e:
    raise UserError(
      f"{path} cannot be written ({e.strerror or e}): check the folder's "
      "permissions and the space on the disk."
    ) from e
