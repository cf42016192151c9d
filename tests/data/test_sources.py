"""Folders and TFDS records, and what is said when they are not there."""

import importlib.util
import zipfile

import cv2
import numpy as np
import pytest

from jaxseg.data import convert, decode, folder, prepare, sources
from jaxseg.data.datasets import CAMVID, CITYSCAPES, DATASETS, PETS
from jaxseg.types import IGNORE, UserError


def write(path, array):
  path.parent.mkdir(parents=True, exist_ok=True)
  assert cv2.imwrite(str(path), array)


def make_folder(root, n=10):
  for i in range(n):
    rng = np.random.default_rng(i)
    write(root / f"images/a/{i}.jpg", rng.integers(0, 255, (9, 8, 3), np.uint8))
    write(root / f"masks/a/{i}.png", rng.integers(0, 2, (9, 8), np.uint8))
  return {
    "images": str(root / "images"),
    "masks": str(root / "masks"),
    "classes": "ground,cat",
  }


def test_folder_splits_are_disjoint_seeded_and_complete(tmp_path):
  spec = folder.folder_spec(**make_folder(tmp_path), val_fraction=0.3)
  train, val = set(spec.pairs("train")), set(spec.pairs("val"))
  assert (len(train), len(val)) == (7, 3)
  assert not train & val
  again = folder.folder_spec(**make_folder(tmp_path), val_fraction=0.3)
  assert set(again.pairs("val")) == val
  other = folder.folder_spec(**make_folder(tmp_path), val_fraction=0.3, seed=3)
  assert set(other.pairs("val")) != val


def test_folder_reads_what_was_written(tmp_path):
  spec = folder.folder_spec(**make_folder(tmp_path))
  source = sources.open_source(spec, "train")
  fields = decode.decoder_of(spec)(source[0], lambda: source.name_of(0))
  mask = cv2.imread(source.pairs[0][1], cv2.IMREAD_UNCHANGED)
  assert (fields["label"] == mask).all()


def test_folder_split_files(tmp_path):
  values = make_folder(tmp_path)
  (tmp_path / "train.txt").write_text("a/1\na/2.jpg\n")
  (tmp_path / "val.txt").write_text("a/3\n")
  spec = folder.folder_spec(**values, split_dir=str(tmp_path))
  assert [p[0][-5:] for p in spec.pairs("train")] == ["1.jpg", "2.jpg"]
  assert spec.splits.keys() == {"train", "val"}
  (tmp_path / "val.txt").write_text("a/77\n")
  with pytest.raises(UserError, match="names 'a/77'"):
    spec.pairs("val")


def test_folder_colors_and_ids(tmp_path):
  values = make_folder(tmp_path)
  colored = np.zeros((9, 8, 3), np.uint8)
  colored[:4] = (0, 0, 255)  # BGR: red
  for i in range(10):
    write(tmp_path / f"masks/a/{i}.png", colored)
  spec = folder.folder_spec(**values, colors=("#000000", "255 0 0"))
  source = sources.open_source(spec, "train")
  label = decode.decoder_of(spec)(source[0], lambda: "x")["label"]
  assert (label[:4] == 1).all()
  assert (label[4:] == 0).all()
  spec = folder.folder_spec(**values, ids=(7, 3), ignore_ids=(5,))
  assert spec.label_table == {7: 0, 3: 1, 5: IGNORE, 255: IGNORE}


def test_folder_mistakes(tmp_path):
  values = make_folder(tmp_path)
  (tmp_path / "masks/a/3.png").unlink()
  spec = folder.folder_spec(**values, val_fraction=0.01)  # 3 is in train
  with pytest.raises(UserError, match=r"1 of .* no mask.*3\.jpg"):
    spec.pairs("train")
  (tmp_path / "empty").mkdir()
  empty = {**values, "images": str(tmp_path / "empty")}
  with pytest.raises(UserError, match=r"no images in .*empty"):
    folder.folder_spec(**empty).pairs("train")
  gone = {**values, "masks": str(tmp_path / "gone")}
  with pytest.raises(UserError, match="gone' is not a folder"):
    folder.folder_spec(**gone).pairs("train")
  with pytest.raises(UserError, match="at least two different"):
    folder.folder_spec(**{**values, "classes": "cat"})
  with pytest.raises(UserError, match="3 entries for 2"):
    folder.folder_spec(**values, ids=(1, 2, 3))


def test_missing_data_says_what_where_and_which_option(tmp_path):
  with pytest.raises(UserError) as e:
    sources.open_tfds(PETS, "train", str(tmp_path))
  text = str(e.value)
  for part in (
    str(tmp_path / "oxford_iiit_pet" / "4.0.0"),
    "images.tar.gz",
    "python -m jaxseg.data.prepare --dataset=pets",
    "--config.data.data_dir",
  ):
    assert part in text


def test_a_key_that_the_data_set_lacks():
  with pytest.raises(UserError, match="'pets' has no 'depth'"):
    sources.open_tfds(PETS, "train", None, ("image", "depth"))


def camvid_raw(root):
  for split, n in (("train", 3), ("val", 2)):
    lines = []
    for i in range(n):
      rng = np.random.default_rng(i)
      image = rng.integers(0, 255, (12, 16, 3), np.uint8)
      write(root / split / f"{i}.png", image)
      write(
        root / f"{split}annot" / f"{i}.png", np.full((12, 16), 11, np.uint8)
      )
      lines.append(f"{split}/{i}.png {split}annot/{i}.png")
    (root / f"{split}.txt").write_text("\n".join(lines))


def test_camvid_builder_round_trip(tmp_path):
  camvid_raw(tmp_path / "raw")
  place = prepare.prepare(CAMVID, str(tmp_path / "tfds"), str(tmp_path / "raw"))
  assert place.is_dir()
  source = sources.open_source(CAMVID, "train", str(tmp_path / "tfds"))
  assert len(source) == 3
  raw = {p.read_bytes() for p in (tmp_path / "raw/train").iterdir()}
  assert {source[i]["image"] for i in range(3)} == raw  # bit for bit
  fields = decode.decoder_of(CAMVID)(source[0], lambda: "x")
  assert (fields["label"] == IGNORE).all()
  with pytest.raises(UserError, match=r"test.*cannot be read.*train, val"):
    sources.open_source(CAMVID, "test", str(tmp_path / "tfds"))


def test_camvid_builder_names_what_is_missing(tmp_path):
  camvid_raw(tmp_path / "raw")
  (tmp_path / "raw/train/1.png").unlink()
  with pytest.raises(UserError, match=r"train\.txt line 2: .*1\.png is not"):
    prepare.prepare(CAMVID, str(tmp_path / "tfds"), str(tmp_path / "raw"))
  with pytest.raises(UserError, match="needs --raw=DIR"):
    prepare.prepare(CAMVID, str(tmp_path / "tfds"))


def test_cityscapes_table_covers_all_label_ids_and_19_classes():
  table = CITYSCAPES.label_table
  assert {v for v in table.values() if v != IGNORE} == set(range(19))
  assert set(range(34)) <= table.keys()
  # cityscapesScripts: road 7, person 24, car 26, bicycle 33.
  names = {k: CITYSCAPES.classes[v] for k, v in table.items() if v != IGNORE}
  assert [names[k] for k in (7, 24, 26, 33)] == [
    "road", "person", "car", "bicycle",
  ]  # fmt: skip


@pytest.mark.parametrize("spec", DATASETS.values(), ids=lambda s: s.name)
def test_specs_are_consistent(spec):
  assert len(spec.palette) == spec.num_classes == len(set(spec.classes))
  assert len(set(spec.palette)) == spec.num_classes
  targets = set(spec.label_table.values()) - {IGNORE}
  assert targets == set(range(spec.num_classes))
  whole = spec.name not in ("midair", "kitti_depth")
  assert spec.sizes.keys() == (spec.splits.keys() if whole else set())


def frame(data):
  return len(data).to_bytes(8, "little") + b"crc." + data + b"crc."


def test_convert_tfrecord_keeps_every_record(tmp_path):
  source = tmp_path / "a/1.0.0"
  source.mkdir(parents=True)
  records = [bytes([i]) * (i + 1) for i in range(5)]
  name = "x-train.tfrecord-00000-of-00001"
  (source / name).write_bytes(b"".join(map(frame, records)))
  (source / "dataset_info.json").write_text('{"fileFormat": "tfrecord"}')
  target = tmp_path / "b/1.0.0"
  convert.to_array_record(source, target)
  from array_record.python import array_record_module

  file = target / name.replace("tfrecord", "array_record")
  reader = array_record_module.ArrayRecordReader(str(file))
  assert [reader.read([i])[0] for i in range(5)] == records
  reader.close()
  (source / name).write_bytes(frame(b"abcdef")[:-6])
  with pytest.raises(UserError, match="ends within a record"):
    convert.to_array_record(source, tmp_path / "c/1.0.0")


def cityscapes_zips(root):
  """Cityscapes' own zip layout, one image per split; label columns 0 to 33."""
  root.mkdir()
  label = np.tile(np.arange(2048) // 61, (1024, 1)).astype(np.uint8)  # 0..33
  image = np.zeros((1024, 2048, 3), np.uint8)
  image[:, 1024:] = (0, 0, 255)  # BGR: red
  for name, top, ending, array in (
    ("leftImg8bit_trainvaltest", "leftImg8bit", "leftImg8bit", image),
    ("gtFine_trainvaltest", "gtFine", "gtFine_labelIds", label),
  ):
    data = cv2.imencode(".png", array)[1].tobytes()
    with zipfile.ZipFile(root / f"{name}.zip", "w") as z:
      for split in ("train", "val", "test"):
        file = f"aachen_000000_000019_{ending}.png"
        z.writestr(f"{top}/{split}/aachen/{file}", data)
  return label


def test_cityscapes_from_its_zips_to_train_ids(tmp_path):
  raw = cityscapes_zips(tmp_path / "raw")
  places = str(tmp_path / "tfds"), str(tmp_path / "raw")
  if importlib.util.find_spec("tensorflow") is None:
    with pytest.raises(UserError, match="needs TensorFlow to write"):
      prepare.prepare(CITYSCAPES, *places)
    return
  prepare.prepare(CITYSCAPES, *places)
  source = sources.open_source(CITYSCAPES, "val", str(tmp_path / "tfds"))
  assert len(source) == 1
  fields = decode.decoder_of(CITYSCAPES)(source[0], lambda: "x")
  want = np.vectorize(CITYSCAPES.label_table.get)(raw[:1])
  np.testing.assert_array_equal(fields["label"], want.repeat(1024, 0))
  assert fields["image"][0, -1].tolist() == [255, 0, 0]
