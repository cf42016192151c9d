"""Video with depth and poses from raw folders, as miniatures of them."""

import json
import shutil

import cv2
import h5py
import numpy as np
import pytest

from jaxseg.data import audit, cameras, decode, prepare, sequences, sources
from jaxseg.data.builders import kitti_depth, midair
from jaxseg.data.datasets import KITTI_DEPTH, MIDAIR, SEVEN_SCENES
from jaxseg.types import UserError

RNG = np.random.default_rng(0)
KEYS = ("image", "depth", "camera", "motion")


def write(path, array):
  path.parent.mkdir(parents=True, exist_ok=True)
  assert cv2.imwrite(str(path), array)


def picture(size=(12, 16)):
  return RNG.integers(0, 256, (*size, 3), np.uint8)


def pose(t):
  """Turns about y and walks along z."""
  out = np.eye(4)
  c, s = np.cos(0.1 * t), np.sin(0.1 * t)
  out[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
  out[:3, 3] = [0.1 * t, -0.02 * t, 0.5 * t]
  return out


def decoded(spec, place, split, options, index=0):
  source = sources.open_source(spec, split, str(place), KEYS, options)
  frames = decode.decoder_of(spec).frames(
    source[index], lambda: source.name_of(index)
  )
  return source, frames


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


def quaternion(turn):
  """w, x, y, z of a rotation about z."""
  return [np.cos(turn / 2), 0, 0, np.sin(turn / 2)]


def write_midair(raw, images=9):
  """Three trajectories of one weather; the depth of each image."""
  folder = raw / "Kite_training/sunny"
  depth = RNG.uniform(2, 90, (3, images, 8, 8)).astype(np.float32)
  folder.mkdir(parents=True)
  with h5py.File(folder / "sensor_records.hdf5", "w") as file:
    for k in range(3):
      name = f"trajectory_300{k}"
      truth = file.create_group(f"{name}/groundtruth")
      at = np.arange(4 * images)
      truth["position"] = np.stack([0.1 * at, 0 * at, -0.01 * at], -1)
      truth["attitude"] = np.array([quaternion(0.01 * i) for i in at])
      for i in range(images):
        write(folder / f"color_left/{name}/{i:06d}.JPEG", picture((8, 8)))
        bits = (512 / depth[k, i]).astype(np.float16).view(np.uint16)
        write(folder / f"depth/{name}/{i:06d}.PNG", bits)
  return depth


def test_midair(tmp_path):
  depth = write_midair_images(tmp_path)
  place = tmp_path / "tfds"
  prepare.prepare(MIDAIR, str(place), str(tmp_path / "raw"))
  options = sequences.ClipOptions(3, overlap=False)
  train, frames = decoded(MIDAIR, place, "train", options, 1)
  test, _ = decoded(MIDAIR, place, "val", options)
  assert (len(train), len(test)) == (2, 1)
  assert "trajectory_3002" in test.name_of(0)  # every third
  for frame, i in zip(frames, (0, 4, 8)):  # one in four
    np.testing.assert_allclose(frame["depth"], depth[1, i], rtol=2e-3)
    np.testing.assert_array_equal(frame["camera"], [4, 4, 4, 4])
  # 16 poses later: 1.6 m to the north, 0.16 m up, turned by 0.16 to the right.
  motion = frames[1]["motion"]
  # The camera looked north, then: x right (east), y down, z forward.
  np.testing.assert_allclose(motion[:3, 3], [0, -0.16, 1.6], atol=1e-5)
  c, s = np.cos(0.16), np.sin(0.16)
  want = [[c, 0, s], [0, 1, 0], [-s, 0, c]]  # what is ahead now was right
  np.testing.assert_allclose(motion[:3, :3], want, atol=1e-5)


def write_midair_images(tmp_path):
  return write_midair(tmp_path / "raw")


def test_midair_axes():
  """Forward of the body is z of the camera, right x, down y."""
  got = midair.pose_of(np.array([1, 2, 3]), np.array([1, 0, 0, 0]))
  for camera, body in (
    ([1, 0, 0], [0, 1, 0]),
    ([0, 1, 0], [0, 0, 1]),
    ([0, 0, 1], [1, 0, 0]),
  ):
    np.testing.assert_array_equal(got[:3, :3] @ camera, body)
  np.testing.assert_array_equal(got[:3, 3], [1, 2, 3])


def test_mistakes_of_midair(tmp_path):
  (tmp_path / "raw").mkdir()
  with pytest.raises(UserError, match="at least three trajectories"):
    midair.read_folder(tmp_path / "raw")
  write_midair_images(tmp_path)
  folder = tmp_path / "raw/Kite_training/sunny/color_left/trajectory_3001"
  write(folder / "000040.JPEG", picture((8, 8)))
  (folder / "000008.JPEG").rename(folder / "000036.JPEG")
  with pytest.raises(UserError, match=r"would need pose 144"):
    midair.read_folder(tmp_path / "raw")
  shutil.rmtree(folder)
  folder.mkdir()
  with pytest.raises(UserError, match=r"holds no NNNNNN\.JPEG"):
    midair.read_folder(tmp_path / "raw")


DATE = "2011_09_26"
OFFSET = (0.3, -0.8, 1.7)  # of the laser from the IMU, its own axes
SHIFT = 45.0  # pixel metres, camera 0 to camera 2


def write_kitti(raw):
  """A drive that goes east, then turns left; {split: depth maps}."""
  date = raw / DATE
  date.mkdir(parents=True)
  axes = "0 -1 0 0 0 -1 1 0 0"  # camera x = -y, y = -z, z = x of the laser
  (date / "calib_velo_to_cam.txt").write_text(
    f"calib_time: 15-Mar-2012\nR: {axes}\nT: 0 0 0\n"
  )
  offset = " ".join(map(str, OFFSET))
  (date / "calib_imu_to_velo.txt").write_text(
    f"R: 1 0 0 0 1 0 0 0 1\nT: {offset}\n"
  )
  (date / "calib_cam_to_cam.txt").write_text(
    "R_rect_00: 1 0 0 0 1 0 0 0 1\n"
    f"P_rect_02: 700 0 600 {SHIFT} 0 710 180 0 0 0 1 0\n"
  )
  maps = {}
  for number, split in enumerate(("train", "val"), 1):
    drive = f"{DATE}_drive_{number:04d}_sync"
    frames = [5, 6, 7, 8, 20, 21]
    maps[split] = RNG.integers(0, 20000, (len(frames), 6, 10)).astype("u2")
    for i, frame in enumerate(frames):
      folder = date / drive
      write(folder / f"image_02/data/{frame:010d}.png", picture((6, 10)))
      depth = raw / split / drive / "proj_depth/groundtruth/image_02"
      write(depth / f"{frame:010d}.png", maps[split][i])
      packet = folder / f"oxts/data/{frame:010d}.txt"
      packet.parent.mkdir(parents=True, exist_ok=True)
      east = 1e-5 * frame
      yaw = 0.0 if frame < 8 else 0.2
      packet.write_text(f"49.0 {8.4 + east} 115.0 0 0 {yaw} " + "0 " * 24)
  return maps


def test_kitti_depth(tmp_path):
  maps = write_kitti(tmp_path / "raw")
  place = tmp_path / "tfds"
  prepare.prepare(KITTI_DEPTH, str(place), str(tmp_path / "raw"))
  options = sequences.ClipOptions(2, overlap=True)
  source, frames = decoded(KITTI_DEPTH, place, "train", options)
  assert len(source) == 4  # 5-8 and 20-21: none over the gap
  np.testing.assert_allclose(frames[1]["depth"], maps["train"][1] / 256)
  np.testing.assert_array_equal(frames[0]["camera"], [700, 710, 600.5, 180.5])
  # East is x of the map and, with yaw 0, forward: z of the camera.
  metre = 1e-5 * np.pi / 180 * kitti_depth.EARTH * np.cos(np.deg2rad(49))
  motion = frames[1]["motion"]
  np.testing.assert_allclose(motion[:3, :3], np.eye(3), atol=1e-6)
  np.testing.assert_allclose(motion[:3, 3], [0, 0, metre], atol=1e-4)
  # A turn by 0.2 to the left about the IMU, which lies behind the camera.
  _, frames = decoded(KITTI_DEPTH, place, "train", options, 2)
  motion = frames[1]["motion"]
  c, s = np.cos(0.2), np.sin(0.2)
  turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
  np.testing.assert_allclose(motion[:3, :3], turn, atol=1e-6)
  # The IMU in the camera's frame: by the axes and OFFSET, then P's shift.
  imu = np.array([SHIFT / 700 - OFFSET[1], -OFFSET[2], OFFSET[0]])
  want = np.array([0, 0, metre]) + imu - turn @ imu
  np.testing.assert_allclose(motion[:3, 3], want, atol=1e-4)


def test_mistakes_of_kitti_depth(tmp_path):
  raw = tmp_path / "raw"
  (raw / "train").mkdir(parents=True)
  with pytest.raises(UserError, match=r"holds no \*_drive_\*"):
    prepare.prepare(KITTI_DEPTH, str(tmp_path / "d"), str(raw))
  write_kitti(raw)
  drive = raw / f"train/{DATE}_drive_0001_sync"
  packet = raw / DATE / drive.name / "oxts/data/0000000006.txt"
  packet.unlink()
  with pytest.raises(UserError, match=r"0000000006.txt is not there"):
    kitti_depth.read_drive(raw, drive)
  (raw / DATE / "calib_velo_to_cam.txt").unlink()
  with pytest.raises(UserError, match="download the calibration"):
    kitti_depth.read_drive(raw, drive)
