"""Flipped and missing bytes: found, said, and never trained from.

Checkpoints have checksums of ours over every array and over all that lies
beside them; array_record hashes each chunk; an artifact has a SHA-256. A
picture in a folder has what its format has: PNG a CRC per chunk, JPEG
nothing, so a flipped bit of a JPEG that still decodes is other pixels.
"""

import shutil

import numpy as np
import pytest

from jaxseg.checkpoint import Checkpoints
from jaxseg.data import decode, sources
from jaxseg.data.datasets import DATASETS
from jaxseg.types import UserError
from tests.faults import runs
from tests.small_states import ABSTRACT, CONFIG, check_equal, make

pytestmark = pytest.mark.damage


def flip(path, rng):
  """One bit at a place that is drawn."""
  content = bytearray(path.read_bytes())
  if content:
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def truncate(path, rng):
  """Any number of its first bytes is left."""
  content = path.read_bytes()
  path.write_bytes(content[: rng.integers(len(content))] if content else b"")


INFO = {"next_batch": 0, "evaluated": 3, "meter": {"images": 120, "s": 1.5}}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
  """Checkpoints 3 and 6 of noise: a flipped bit in it is still a number."""
  root = tmp_path_factory.mktemp("pair")
  found = Checkpoints(root, CONFIG)
  for step in (3, 6):
    position = {**INFO, "next_batch": step}
    found.save(make(step), position=position, metrics={"miou": step / 10})
  found.close()
  return root


FILES = 8  # more than there are kinds of files in a checkpoint


def damage_and_restore(pair, folder, path, harm, rng):
  """'whole' or 'the one before'; whatever is restored is right."""
  shutil.rmtree(folder, ignore_errors=True)
  shutil.copytree(pair, folder)
  harm(folder / path, rng)
  notes = []
  found = Checkpoints(folder, CONFIG, note=notes.append)
  restored = found.restore(ABSTRACT)
  found.close()
  step = int(restored.state.step)
  assert step in (3, 6)
  check_equal(restored.state, make(step))
  assert restored.info["position"] == {**INFO, "next_batch": step}
  assert restored.info["metrics"] == {"miou": step / 10}
  assert restored.info["config"]["model"] == CONFIG["model"]
  assert len(notes) == (step == 3)
  if notes:
    assert "is damaged" in notes[0]
    assert len(list(folder.glob("checkpoints/damaged/latest-6-*"))) == 1
  return step


def files(pair):
  newest = pair / "checkpoints/latest/6"
  return sorted(p.relative_to(pair) for p in newest.rglob("*") if p.is_file())


@pytest.mark.parametrize(
  ("seed", "times"), [(0, 1), pytest.param(1, 6, marks=pytest.mark.slow)]
)
def test_every_file_of_a_checkpoint(pair, tmp_path, seed, times):
  rng = np.random.default_rng(seed)
  found = files(pair)
  assert len(found) >= FILES, found
  steps = [
    damage_and_restore(pair, tmp_path / "run", path, harm, rng)
    for path in found
    for harm in (flip, truncate)
    for _ in range(times)
  ]
  # Some files say nothing that is needed; the arrays' and the manifest's do.
  assert 3 in steps
  print(f"\n{len(steps)} damages, {steps.count(3)} set the checkpoint aside")


def test_every_byte_of_the_manifest_is_told(pair, tmp_path):
  """A number that became another number is still JSON: the checksum tells."""
  (path,) = (p for p in files(pair) if p.parts[-2:] == ("info", "metadata"))
  content = (pair / path).read_bytes()
  changes = [
    (b'"evaluated": 3', b'"evaluated": 2'),
    (b'"miou": 0.6', b'"miou": 0.9'),
    (b'"images": 120', b'"images": 121'),
    (b'"width": 4', b'"width": 5'),
    (b'"crc"', b'"cRc"'),
  ]
  for old, new in changes:
    old, new = (
      (old, new)
      if old in content
      else (x.replace(b" ", b"") for x in (old, new))
    )
    assert content.count(old) == 1, (old, content)

    def harm(path, rng, old=old, new=new):
      del rng
      path.write_bytes(path.read_bytes().replace(old, new))

    assert damage_and_restore(pair, tmp_path / "run", path, harm, None) == 3


@pytest.mark.slow
@pytest.mark.parametrize("harm", [flip, truncate], ids=lambda f: f.__name__)
def test_a_run_from_a_damaged_checkpoint(server, data, whole, tmp_path, harm):
  """All files of the newest one: the run goes on from that before."""
  workdir = tmp_path / "run"
  shutil.copytree(whole, workdir)
  newest = workdir / "checkpoints" / "latest" / str(runs.STEPS)
  rng = np.random.default_rng(2)
  for path in sorted(p for p in newest.rglob("*") if p.stat().st_size):
    if path.is_file():
      harm(path, rng)
  status, out, err = server.run(runs.flags(data, workdir), **runs.ENV)
  assert status == 0, err
  assert f"warning: checkpoint {newest} is damaged" in out
  assert f"Going on from step {runs.STEPS - runs.EVERY} " in out
  runs.check_same_run(workdir, whole)


@pytest.mark.slow
def test_damaged_programs_in_the_cache(server, data, whole, tmp_path):
  """Compiled programs that were cut off are compiled again."""
  cache = tmp_path / "cache"
  shutil.copytree(server.compiled, cache)
  rng = np.random.default_rng(3)
  for path in cache.iterdir():
    truncate(path, rng)
  env = {**runs.ENV, "JAX_COMPILATION_CACHE_DIR": cache}
  argv = runs.flags(data, tmp_path / "run")
  status, _, err = server.run(
    argv, timeout=180, **{k: str(v) for k, v in env.items()}
  )
  assert status == 0, err
  assert "Traceback" not in err
  runs.check_same_run(tmp_path / "run", whole)


def read_all(root):
  """All fields of both splits, decoded; or the sentence."""
  spec = DATASETS["scenes"]
  decoder = decode.decoder_of(spec)
  out = []
  for split in ("train", "val"):
    source = sources.open_source(spec, split, str(root), ("image", "label"))
    for i in range(len(source)):
      out.append(decoder(source[i], lambda i=i, s=source: s.name_of(i)))
  return out


@pytest.mark.parametrize("harm", [flip, truncate], ids=lambda f: f.__name__)
def test_damaged_records_are_said(records, tmp_path, harm):
  """Every byte of a record is under array_record's hash, pictures too."""
  want = read_all(records)
  rng = np.random.default_rng(4)
  root, told = tmp_path / "data", 0
  names = sorted(
    p.relative_to(records) for p in records.rglob("*.array_record*")
  )
  names += sorted(
    p.relative_to(records) for p in records.rglob("*/1.0.0/*.json")
  )
  for name in (n for n in names for _ in range(8)):
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(records, root)
    harm(root / name, rng)
    try:
      got = read_all(root)
    except UserError as e:
      told += 1
      text = str(e)
      assert "\n" not in text
      assert "prepare" in text
      if "array_record" in name.name:
        assert name.name in text, text
      continue
    # Padding, or a word of the description: what is read is right.
    for a, b in zip(got, want, strict=True):
      for key in a:
        np.testing.assert_array_equal(a[key], b[key])
  print(f"\n{told} of {8 * len(names)} damages told, the others read right")
  assert told >= len(names)


@pytest.mark.slow
def test_damaged_artifacts_are_said(server, data, whole, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(whole, workdir)
  argv = [*runs.flags(data, workdir), "--mode=export"]
  status, _, err = server.run(argv)
  assert status == 0, err
  from jaxseg.serving import artifact

  (path,) = workdir.glob("export/*.stablehlo")
  good = path.read_bytes()
  artifact.load(path)
  rng = np.random.default_rng(5)
  for harm in (flip, truncate) * 10:
    harm(path, rng)
    with pytest.raises(UserError, match="damaged"):
      artifact.load(path)
    path.write_bytes(good)
