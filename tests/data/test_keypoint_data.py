"""Keypoints from the raw tables to the batch: moved, swapped, hidden."""

import csv

import cv2
import numpy as np
import pytest

from jaxseg.data import decode, people, pipeline, prepare, sources, transforms
from jaxseg.data.builders import faces as faces_builder
from jaxseg.data.builders import lsp as lsp_builder
from jaxseg.data.datasets import DATASETS, FACES, LSP, SCENES, points_of
from jaxseg.data.points import FACE_68, LSP_14, PointSpec
from jaxseg.types import UserError

TWO = PointSpec(("right", "left"), ((0, 1),), ((0, 1),))


def dots(points, size=(64, 96)):
  """A dark image with a bright 5x5 square at each of the points."""
  image = np.zeros((*size, 3), np.uint8)
  for x, y, _ in points.reshape(-1, 3).astype(int):
    image[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 255
  return image


def brightness(fields):
  """Grey value at each seen point of an example."""
  points = fields["keypoints"].reshape(-1, 3)
  return np.array(
    [fields["image"][int(y), int(x), 0] for x, y, v in points if v > 0]
  )


@pytest.mark.parametrize(
  "text",
  [
    "resize(40, 50)",
    "random_scale(0.7, 1.4, 0.2)",
    "rotate(40)",
    "crop(40, 60)",
    "flip(1)",
    "person(1.3)",
    "random_scale(0.8, 1.2)|rotate(30)|crop(48, 48)|flip|photometric",
  ],
)
def test_points_stay_on_their_dots(text):
  """Every point that is still seen lies on a bright square of the image."""
  apply = transforms.parse(text, (48, 64))
  lost = 0
  for seed in range(12):
    rng = np.random.default_rng(seed)
    xy = rng.uniform([6, 6], [90, 58], (1, 5, 2))
    points = np.concatenate([xy, np.full((1, 5, 1), 2)], -1).astype(np.float32)
    out = apply({"image": dots(points), "keypoints": points}, rng)
    assert (brightness(out) > 120).all()
    h, w = out["image"].shape[:2]
    x, y, v = np.moveaxis(out["keypoints"], -1, 0)
    inside = (x >= 0) & (y >= 0) & (x < w) & (y < h)
    np.testing.assert_array_equal(v > 0, inside)  # 2 before, 0 outside
    lost += (~inside).sum()
  cuts = "crop" in text or "rotate" in text
  assert (lost > 0) == cuts


def test_a_point_that_was_not_seen_is_not_seen_again():
  points = np.array([[[10, 10, 0], [90, 10, 2]]], np.float32)
  fields = {"image": dots(points), "keypoints": points}
  out = transforms.parse("crop(40, 40)|pad", (80, 120))(
    fields, np.random.default_rng(0)
  )
  assert (out["keypoints"][0, :, 2] == 0).all()


@pytest.mark.parametrize("spec", [FACE_68, LSP_14], ids=["faces", "lsp"])
def test_sides_of_a_data_set(spec):
  k = len(spec.names)
  flat = [i for pair in spec.flip_pairs for i in pair]
  assert len(flat) == len(set(flat))  # nobody has two partners
  assert max(flat) < k == len(set(spec.names))
  assert all(0 <= a < k and 0 <= b < k and a != b for a, b in spec.bones)
  for a, b in spec.flip_pairs:
    if "right" in spec.names[a]:  # jaw, nose and lips have one name for both
      part = spec.names[a].replace("right", "left").rstrip("0123456789")
      assert spec.names[b].startswith(part)
  # A mirrored skeleton is the skeleton.
  swap = dict([*spec.flip_pairs, *((b, a) for a, b in spec.flip_pairs)])
  bones = {frozenset(bone) for bone in spec.bones}
  mirrored = {frozenset(swap.get(i, i) for i in bone) for bone in spec.bones}
  assert mirrored == bones


def test_sigmas_are_symmetric():
  for a, b in LSP_14.flip_pairs:
    assert LSP_14.sigmas[a] == LSP_14.sigmas[b]
  named = dict(zip(LSP_14.names, LSP_14.sigmas))
  assert named["left_hip"] == 0.107  # COCO's
  assert named["right_wrist"] == 0.062
  assert named["left_ankle"] == 0.089


def record(points, size=(64, 96)):
  image = cv2.imencode(".png", np.zeros((*size, 3), np.uint8))[1].tobytes()
  return {"image": image, "keypoints": np.asarray(points, np.float32)}


def test_flips_of_decoded_examples_swap_sides_and_leave_no_trace():
  raw = record([[[10, 20, 2], [70, 30, 1]]])
  decoder = decode.Decoder({}, points=TWO)
  fields = decoder(raw, lambda: "x")
  source = Source([raw])
  flip = transforms.parse("flip(1)", (64, 96))
  (batch,) = pipeline.eval_batches(
    source, decoder, flip, batch_size=1, shard=pipeline.Shard(), threads=1
  )
  np.testing.assert_array_equal(
    batch["keypoints"], [[[[26, 30, 1], [86, 20, 2]]]]
  )
  assert batch.keys() == {"image", "keypoints", "_mask", "_id"}
  assert fields["flip_pairs"].tolist() == [[0, 1]]


class Source:
  """Records in memory."""

  def __init__(self, records):
    self._records = records

  def __len__(self):
    return len(self._records)

  def __getitem__(self, index):
    return self._records[index]

  def name_of(self, index):
    return f"record {index}"


@pytest.mark.parametrize(
  ("points", "says"),
  [
    ([[[10, 20, 2], [96, 30, 1]]], r"record: keypoint 1 \(left\) of person 0 is"
     r" at x = 96, y = 30, outside the image of 96x64"),
    ([[[10, -1, 2], [9, 30, 1]]], r"keypoint 0 \(right\).*y = -1"),
    ([[[10, 20, 2]] * 3], r"hold 3 points per person: expected \(people, 2, 3"),
    ([[10, 20, 2]] * 2, r"expected \(people, 2, 3\)"),
    ([[[10, np.nan, 2], [9, 30, 1]]], "1 NaN or infinite"),
  ],
)  # fmt: skip
def test_keypoints_that_cannot_be(points, says):
  decoder = decode.Decoder({}, points=TWO)
  with pytest.raises(UserError, match=says) as e:
    decoder(record(points), lambda: "record")
  assert "\n" not in str(e.value)


def test_what_is_outside_may_be_said_to_be_unknown():
  decoder = decode.Decoder({}, points=TWO)
  fields = decoder(record([[[10, 20, 2], [-9, 300, 0]]]), lambda: "x")
  assert fields["keypoints"].shape == (1, 2, 3)


def test_person_takes_the_largest_or_any_and_keeps_proportions():
  small = [[10, 10, 2], [20, 18, 2], [0, 0, 0]]
  large = [[40, 12, 2], [70, 52, 2], [55, 30, 1]]
  nobody = [[0, 0, 0]] * 3
  points = np.array([small, nobody, large], np.float32)
  fields = {"image": dots(points[[0, 2]]), "keypoints": points}
  apply = transforms.parse("person(1.5)", (60, 60))
  out = apply(fields, np.random.default_rng(0))
  assert out["image"].shape == (60, 60, 3)
  assert out["keypoints"].shape == (1, 3, 3)
  # 40 high, times 1.5: a window of 60 about (55, 32), at its own scale.
  np.testing.assert_allclose(out["keypoints"][0, :, :2], points[2, :, :2] - [
    25, 2,
  ])  # fmt: skip
  assert (brightness(out) == 255).all()
  assert (out["image"][:, :, 0] == 128).sum() == 0  # inside the image
  pick = transforms.parse("person(1.5, 'any')", (60, 60))
  seen = {
    round(float(np.ptp(one["keypoints"][0, :2, 0])))
    for one in (pick(fields, np.random.default_rng(i)) for i in range(20))
  }
  # The small one fills its window too: 10 of 15 pixels wide; never nobody.
  assert seen == {30, 40}


def test_nobody_is_the_whole_image_and_counts_nowhere():
  for empty in (np.zeros((0, 3, 3)), np.zeros((2, 3, 3))):
    fields = {"image": np.zeros((40, 30, 3), np.uint8), "keypoints": empty}
    out = transforms.parse("person", (20, 20))(fields, np.random.default_rng(0))
    assert out["image"].shape == (20, 20, 3)
    assert out["keypoints"].shape == (1, 3, 3)
    assert not out["keypoints"].any()
  one = np.array([[[5, 5, 2]]], np.float32)  # a single point has no box
  out = people.crop(
    {"image": np.zeros((40, 30, 3), np.uint8), "keypoints": one},
    0, (20, 20), 1.25,
  )  # fmt: skip
  assert (out["keypoints"][0, 0] == [10, 10, 2]).all()


def test_mistakes_of_person():
  with pytest.raises(UserError, match=r"person\(0\.5, 'largest'\)"):
    transforms.parse("person(0.5)", (8, 8))
  with pytest.raises(UserError, match="needs keypoints"):
    transforms.parse("person", (8, 8))(
      {"image": np.zeros((8, 8, 3), np.uint8)}, np.random.default_rng(0)
    )
  records = [record(np.ones((n, 2, 3))) for n in (1, 2)]
  same = transforms.parse("", (64, 96))
  batches = pipeline.eval_batches(
    Source(records), decode.Decoder({}, points=TWO), same, batch_size=2,
    shard=pipeline.Shard(), threads=1,
  )  # fmt: skip
  with pytest.raises(UserError, match=r"different numbers of people.*'person'"):
    next(batches)


def test_scenes_have_the_joints_of_lsp():
  assert SCENES.points is LSP.points is LSP_14
  assert points_of(FACES)["eyes"] == (36, 45)
  with pytest.raises(UserError, match=r"'pets' has no keypoints.*faces, lsp"):
    points_of(DATASETS["pets"])


def write_table(path, columns, lines):
  with path.open("w", newline="") as file:
    csv.writer(file).writerows([["id", "width", "height", *columns], *lines])


def raw_folder(root, kind):
  """Three training and two validation images of 40x30, and random points."""
  rng = np.random.default_rng(0)
  folder = root / ("training" if kind == "faces" else "images")
  folder.mkdir(parents=True)
  ids = [f"p{i:03d}_00" for i in range(5)]
  lines = []
  for one in ids:
    image = rng.integers(0, 255, (30, 40, 3), np.uint8)
    cv2.imwrite(str(folder / f"{one}.jpg"), image)
    n = 68 if kind == "faces" else 14
    values = np.round(rng.uniform([0, 0, 0], [39, 29, 2], (n, 3)), 2)
    values[:, 2] = values[:, 2] > 0.3
    values = values[:, :2] if kind == "faces" else values
    lines.append([one, 40, 30, *values.ravel().tolist()])
  for split, part in (("train", ids[:3]), ("val", ids[3:])):
    (root / f"suggested_{split}.txt").write_text("\n".join(part) + "\n")
  return lines


KINDS = {
  "faces": (FACES, "training.csv", faces_builder.COLUMNS),
  "lsp": (LSP, "joints.csv", lsp_builder.COLUMNS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_builders_round_trip(kind, tmp_path):
  spec, name, columns = KINDS[kind]
  lines = raw_folder(tmp_path / "raw", kind)
  if kind == "faces":
    lines[0][3] = -2.0  # a jaw that leaves the crop
  write_table(tmp_path / "raw" / name, columns, lines)
  places = str(tmp_path / "tfds"), str(tmp_path / "raw")
  prepare.prepare(spec, *places)
  decoder = decode.decoder_of(spec)
  found = {}
  for split, n in (("train", 3), ("val", 2)):
    source = sources.open_source(spec, split, places[0], ("image", "keypoints"))
    assert len(source) == n
    for i in range(n):
      fields = decoder(source[i], lambda: "x")
      assert fields["image"].shape == (30, 40, 3)
      file = source.name_of(i).split("(")[1].rstrip(")")
      found[file.removesuffix(".jpg")] = fields["keypoints"], source[i]["image"]
  assert found.keys() == {line[0] for line in lines}
  for one, _, _, *values in lines:
    points, image = found[one]
    (path,) = (tmp_path / "raw").rglob(f"{one}.jpg")
    assert image == path.read_bytes()  # bit for bit
    want = np.array(values, np.float32)
    if kind == "faces":
      np.testing.assert_array_equal(points[0, :, :2], want.reshape(68, 2))
      inside = want.reshape(68, 2)[:, 0] >= 0
      np.testing.assert_array_equal(points[0, :, 2], 2 * inside)
    else:
      want = want.reshape(14, 3)
      labelled = want[:, 2] > 0
      assert 0 < labelled.sum() < 14
      np.testing.assert_array_equal(points[0, :, 2], 2 * labelled)
      np.testing.assert_array_equal(points[0, labelled], want[labelled] * [
        1, 1, 2,
      ])  # fmt: skip


def spoil(kind, lines, columns, how):
  columns = list(columns)
  if how == "columns":
    columns = columns[:-3]
    lines = [line[:-3] for line in lines]
  elif how == "outside":
    lines[1][3:6] = [77.0, 5.0, 1.0] if kind == "lsp" else [77.0, 5.0, 9.0]
  elif how == "text":
    lines[2][4] = "left"
  elif how == "twice":
    lines.append(lines[0])
  elif how == "short":
    lines[1] = lines[1][:-1]
  elif how == "unknown":
    lines = lines[:-1]
  return columns, lines


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
  ("how", "says"),
  [
    ("columns", r"columns: expected \d+, id, width, .* of \d+ points"),
    (
      "outside",
      r"p001_00\.jpg: .* x = 77, y = 5,.* outside the image of 40x30",
    ),
    ("text", "line 4: could not convert string to float: 'left'"),
    ("twice", "line 7: the id 'p000_00' was there before"),
    ("short", r"line 3 has \d+ values: expected \d+"),
    ("unknown", r"suggested_val\.txt names 'p004_00'"),
    ("image", r"p002_00\.jpg is not there"),
    ("table", "is not there: expected a table"),
    ("list", r"suggested_train\.txt is not there"),
  ],
)
def test_mistakes_of_raw_folders(kind, how, says, tmp_path):
  spec, name, columns = KINDS[kind]
  raw = tmp_path / "raw"
  lines = raw_folder(raw, kind)
  columns, lines = spoil(kind, lines, columns, how)
  write_table(raw / name, columns, lines)
  if how == "image":
    next(raw.rglob("p002_00.jpg")).unlink()
  elif how == "table":
    (raw / name).unlink()
  elif how == "list":
    (raw / "suggested_train.txt").unlink()
  with pytest.raises(UserError, match=says) as e:
    prepare.prepare(spec, str(tmp_path / "tfds"), str(raw))
  assert "\n" not in str(e.value)
