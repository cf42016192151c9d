"""Checkpoints: what is saved comes back to the bit, or is not used at all."""

import errno
import pathlib
import shutil

import jax
import jax.numpy as jnp
import pytest

from jaxseg import continuation, faults
from jaxseg.checkpoint import Checkpoints
from jaxseg.types import UserError
from tests.small_states import ABSTRACT, CONFIG, SHARDING, check_equal, make

pytestmark = pytest.mark.damage


@pytest.fixture
def opened(tmp_path):
  """(checkpoints of tmp_path, warnings)."""
  notes = []
  found = Checkpoints(tmp_path, CONFIG, note=notes.append)
  yield found, notes
  found.close()


def save(found, *steps, **kwargs):
  for step in steps:
    found.save(make(step), position={"next_batch": step}, **kwargs)
  found.wait()


def test_what_is_saved_comes_back(opened, tmp_path):
  found, notes = opened
  assert found.restore(ABSTRACT) is None
  save(found, 3)
  found.close()
  again = Checkpoints(tmp_path, CONFIG, note=notes.append)
  restored = again.restore(ABSTRACT)
  again.close()
  check_equal(restored.state, make(3))
  assert restored.state.params["conv"]["kernel"].sharding == SHARDING
  assert restored.info["position"] == {"next_batch": 3}
  assert restored.path == tmp_path / "checkpoints" / "latest" / "3"
  assert not notes


def test_the_newest_two_are_kept(opened):
  found, _ = opened
  save(found, 1, 2, 3, 4)
  assert found.steps() == [4, 3]
  save(found, 4)  # a step that is there is not written again
  assert found.steps() == [4, 3]
  check_equal(found.restore(ABSTRACT).state, make(4))


def truncate(folder):
  """The largest file below the folder loses its second half."""
  path = max(
    (p for p in folder.rglob("*") if p.is_file()),
    key=lambda p: p.stat().st_size,
  )
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(folder):
  """One bit in the midst of the largest file: data that does not compress."""
  path = max(
    (p for p in folder.rglob("*") if p.is_file()),
    key=lambda p: p.stat().st_size,
  )
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def empty(folder):
  shutil.rmtree(folder)
  folder.mkdir()


def junk(folder):
  empty(folder)
  (folder / "notes.txt").write_text("hello")


def without_manifest(folder):
  shutil.rmtree(folder / "info")


def without_arrays(folder):
  shutil.rmtree(folder / "state")


DAMAGES = [truncate, flip, empty, junk, without_manifest, without_arrays]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_damage_is_set_aside_and_the_one_before_is_used(
  opened, tmp_path, damage
):
  found, notes = opened
  save(found, 3, 6)
  found.close()
  path = tmp_path / "checkpoints" / "latest" / "6"
  damage(path)
  restored = found.restore(ABSTRACT)
  check_equal(restored.state, make(3))
  assert found.steps() == [3]
  (note,) = notes
  assert str(path) in note
  assert "is damaged" in note
  if damage is flip:  # Orbax itself would have restored it
    assert "differ from its manifest" in note
  (aside,) = (tmp_path / "checkpoints" / "damaged").iterdir()
  assert aside.name.startswith("latest-6-")
  assert str(aside) in note
  # The run goes on: the same step is written anew, and is good.
  save(found, 6)
  check_equal(found.restore(ABSTRACT).state, make(6))
  assert len(notes) == 1


def test_all_damaged_is_none(opened, tmp_path):
  found, notes = opened
  save(found, 3, 6)
  found.close()
  for step in (3, 6):
    truncate(tmp_path / "checkpoints" / "latest" / str(step))
  assert found.restore(ABSTRACT) is None
  assert len(notes) == 2


def test_a_disk_that_does_not_answer_is_no_damage(
  opened, tmp_path, monkeypatch
):
  """What would be set aside is still there when the disk is back."""
  found, notes = opened
  save(found, 1, 2)
  refused = OSError(errno.EIO, "Input/output error", "latest/2/state")

  def restore(*args, **kwargs):
    raise ValueError("TensorStore") from refused

  with monkeypatch.context() as patch:
    patch.setattr(found._manager("latest"), "restore", restore)
    with pytest.raises(ValueError, match="TensorStore") as error:
      found.restore(ABSTRACT)
  assert faults.sentence(error.value).startswith("latest/2/state cannot be rea")
  assert not notes
  check_equal(found.restore(ABSTRACT).state, make(2))


def test_a_config_that_contradicts_is_refused_by_key(opened, tmp_path):
  found, _ = opened
  save(found, 3)
  changed = {
    **CONFIG,
    "seed": 1,
    "steps": 99,
    "model": {"name": "unet", "width": 8},
    "eval": {"every": 1},
  }
  other = Checkpoints(tmp_path, changed)
  with pytest.raises(UserError) as e:
    other.restore(ABSTRACT)
  other.close()
  assert "model.width: 4 in the checkpoint, 8 now" in str(e.value)
  assert "seed: 0 in the checkpoint, 1 now" in str(e.value)
  assert "steps" not in str(e.value)
  assert "eval" not in str(e.value)
  # Refused, not damaged.
  assert found.steps() == [3]


def test_tuples_that_became_lists_are_no_contradiction():
  saved = {"a": [["x", 0.1]], "b": [1, 2], "c": {"d": None}}
  now = {"a": (("x", 0.1),), "b": (1, 2), "c": {"d": None}}
  assert continuation.contradictions(saved, now) == []
  assert continuation.contradictions(saved, {**now, "b": (1, 3)}) == [
    "b: [1, 2] in the checkpoint, [1, 3] now"
  ]


@pytest.mark.parametrize(
  ("mode", "scores", "best"),
  [("max", (0.5, 0.7, 0.6, 0.7), 2), ("min", (0.5, 0.3, 0.4, 0.3), 2)],
)
def test_the_best_is_kept(tmp_path, mode, scores, best):
  found = Checkpoints(tmp_path, CONFIG, best=("score", mode))
  assert not found.is_best(float("nan"))
  for step, score in enumerate(scores, 1):
    if found.is_best(score):
      save(found, step, kind="best", metrics={"score": score})
  assert found.steps("best") == [best]
  restored = found.restore(ABSTRACT, "best")
  found.close()
  check_equal(restored.state, make(best))
  assert restored.info["metrics"] == {"score": scores[best - 1]}


def test_a_run_that_was_set_back_replaces_the_best_of_its_future(tmp_path):
  found = Checkpoints(tmp_path, CONFIG, best=("score", "max"))
  save(found, 9, kind="best", metrics={"score": 0.5})
  save(found, 6, kind="best", metrics={"score": 0.6})
  assert found.steps("best") == [6]
  check_equal(found.restore(ABSTRACT, "best").state, make(6))
  found.close()


def test_later_updates_do_not_leak_into_a_save(opened):
  found, _ = opened
  # Buffers of JAX's own: those of NumPy arrays are not given away.
  state = jax.jit(lambda s: jax.tree.map(jnp.copy, s))(make(3))
  update = jax.jit(
    lambda s: jax.tree.map(lambda x: x * 0 + 7, s).replace(step=s.step + 1),
    donate_argnums=0,
  )
  found.save(state, position={})
  after = update(state)  # in place
  jax.block_until_ready(after)
  assert state.params["conv"]["kernel"].is_deleted()
  found.wait()
  check_equal(found.restore(ABSTRACT).state, make(3))


def test_what_a_kill_left_is_ignored_and_goes(opened, tmp_path):
  found, notes = opened
  save(found, 3)
  found.close()
  left = tmp_path / "checkpoints" / "latest" / "6.orbax-checkpoint-tmp"
  (left / "state").mkdir(parents=True)
  check_equal(found.restore(ABSTRACT).state, make(3))
  save(found, 6)
  check_equal(found.restore(ABSTRACT).state, make(6))
  assert not left.exists()
  assert not notes


def test_a_path_may_be_relative(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  found = Checkpoints(pathlib.Path("run"), CONFIG)
  save(found, 1)
  check_equal(found.restore(ABSTRACT).state, make(1))
  found.close()
