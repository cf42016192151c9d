"""7-Scenes from its raw folder, a miniature of it."""

import json

import cv2
import numpy as np
import pytest

from jaxseg.data import audit, cameras, decode, prepare, sequences, sources
from jaxseg.data.datasets import SEVEN_SCENES
from jaxseg.types import UserError
from tests.data.video_files import KEYS, decoded, picture, pose, write

RNG = np.random.default_rng(0)


def seven_scenes(raw, n=(9, 6)):
  """{part: depth maps}; frames 0, 2, 4 ..."""
  camera = {"width": 16, "height": 12, "fx": 14, "fy": 15, "cx": 8, "cy": 6}
  raw.mkdir(parents=True, exist_ok=True)
  (raw / "camera.json").write_text(json.dumps(camera))
  maps = {}
  for part, count in zip(("train", "test"), n):
    maps[part] = RNG.integers(0, 4000, (count, 12, 16)).astype(np.uint16)
    lines = ["frame," + ",".join(cameras.COLUMNS)]
    for i in range(count):
      write(raw / f"{part}/rgb/{2 * i:06d}.jpg", picture())
      write(raw / f"{part}/depth/{2 * i:06d}.png", maps[part][i])
      numbers = pose(i)[:3].ravel()
      lines.append(f"{2 * i:06d}," + ",".join(f"{v:.9g}" for v in numbers))
    (raw / f"{part}/poses.csv").write_text("\n".join(lines) + "\n")
  return maps


def test_seven_scenes(tmp_path, capsys):
  maps = seven_scenes(tmp_path / "raw")
  argv = ["--dataset=seven_scenes", f"--raw={tmp_path / 'raw'}"]
  assert prepare.main([*argv, f"--data_dir={tmp_path / 'tfds'}"]) == 0
  assert "seven_scenes" in capsys.readouterr().out
  place = tmp_path / "tfds"
  source, frames = decoded(
    SEVEN_SCENES, place, "test", sequences.ClipOptions(3, 2, overlap=False), 1
  )
  assert len(source) == 2  # frames 0, 2, 4 and 1, 3, 5
  for frame, i in zip(frames, (1, 3, 5)):
    np.testing.assert_allclose(
      frame["depth"], maps["test"][i] / 1000, rtol=1e-6
    )
    np.testing.assert_array_equal(frame["camera"], np.float32([14, 15, 8, 6]))
    name = tmp_path / f"raw/test/rgb/{2 * i:06d}.jpg"
    want = cv2.imread(str(name))[..., ::-1]
    assert np.abs(frame["image"].astype(int) - want).max() <= 2
  want = np.linalg.inv(pose(1)) @ pose(3)
  np.testing.assert_allclose(frames[1]["motion"], want, atol=1e-6)
  assert "test/rgb/000002.jpg" in source.name_of(1)
  # val is the end of the raw train folder, and nothing is in both.
  stills = {
    split: sources.open_source(SEVEN_SCENES, split, str(place), KEYS[:3])
    for split in ("train", "val", "test")
  }
  assert [len(s) for s in stills.values()] == [5, 4, 6]
  assert "train/rgb/000010" in stills["val"].name_of(0)
  with pytest.raises(UserError, match=r"cut sequences apart.*train, val, test"):
    sources.open_source(SEVEN_SCENES, "train[:3]", str(place), KEYS)


def spoil_camera(raw):
  (raw / "camera.json").unlink()
  return "without intrinsics"


def spoil_focal(raw):
  camera = json.loads((raw / "camera.json").read_text())
  (raw / "camera.json").write_text(json.dumps({**camera, "fx": 0}))
  return "focal lengths"


def spoil_json(raw):
  (raw / "camera.json").write_text('{"fx": 3}')
  return "expected JSON with width, height"


def spoil_poses(raw):
  (raw / "test/poses.csv").unlink()
  return "without poses"


def edit(raw, change):
  path = raw / "test/poses.csv"
  lines = path.read_text().splitlines()
  change(lines)
  path.write_text("\n".join(lines))


def spoil_rotation(raw):
  def change(lines):
    name, *numbers = lines[3].split(",")
    lines[3] = ",".join([name, str(2 * float(numbers[0])), *numbers[1:]])

  edit(raw, change)
  return r"line 4: .*no rotation"


def spoil_head(raw):
  edit(raw, lambda lines: lines.pop(0))
  return "head line"


def spoil_number(raw):
  edit(raw, lambda lines: lines.append("000099,1,2,x"))
  return "line 8: expected a frame and 12 numbers"


def spoil_twice(raw):
  edit(raw, lambda lines: lines.append(lines[2]))
  return "was there before"


def spoil_empty(raw):
  edit(raw, lambda lines: lines.__delitem__(slice(1, None)))
  return "no line but its head"


def spoil_file(raw):
  (raw / "test/depth/000004.png").unlink()
  return r"000004.png is not there"


@pytest.mark.parametrize(
  "spoil",
  [
    spoil_camera,
    spoil_focal,
    spoil_json,
    spoil_poses,
    spoil_rotation,
    spoil_head,
    spoil_number,
    spoil_twice,
    spoil_empty,
    spoil_file,
  ],
)
def test_mistakes_of_seven_scenes(spoil, tmp_path):
  seven_scenes(tmp_path / "raw", (4, 6))
  says = spoil(tmp_path / "raw")
  with pytest.raises(UserError, match=says):
    prepare.prepare(SEVEN_SCENES, str(tmp_path / "d"), str(tmp_path / "raw"))


def test_depth_that_is_all_invalid_is_refused(tmp_path):
  seven_scenes(tmp_path / "raw", (6, 4))
  for path in (tmp_path / "raw/train/depth").iterdir():
    write(path, np.zeros((12, 16), np.uint16))
  prepare.prepare(SEVEN_SCENES, str(tmp_path / "d"), str(tmp_path / "raw"))
  source = sources.open_source(
    SEVEN_SCENES, "train", str(tmp_path / "d"), KEYS, sequences.ClipOptions(2)
  )
  with pytest.raises(UserError, match=r"all of them are 0, not measured"):
    audit.audit_depth(source, decode.decoder_of(SEVEN_SCENES), 0.1, 10)


def test_intrinsics_follow_the_size_of_the_images(tmp_path):
  seven_scenes(tmp_path, (2, 2))
  path = tmp_path / "camera.json"
  got = cameras.read_camera(path, (24, 32))
  np.testing.assert_allclose(got, [28, 30, 16, 12])
  with pytest.raises(UserError, match=r"16x12 .*are 32x12"):
    cameras.read_camera(path, (12, 32))
