"""Keypoints by config: what the data set gives the task, what cannot be."""

import pytest

from jaxseg import assignment, build, defaults, inference
from jaxseg.data.points import FACE_68, LSP_14
from jaxseg.types import UserError


def config_of(name, **task):
  config = defaults.get_config()
  config.data.name = name
  config.task.name = "keypoints"
  for key, value in task.items():
    config.task[key] = value
  return config


def task_of(name, **task):
  config = config_of(name, **task)
  return assignment.make_task(config, build.dataset(config))


def test_the_data_set_says_what_the_points_are():
  face = task_of("faces", method="direct")
  assert face.outputs == {"keypoints": 136}
  assert (face.eyes, face.flip_pairs) == ((36, 45), FACE_68.flip_pairs)
  assert face.metrics().keys() == {"pck", "nme"}
  body = task_of("lsp", stride=2, alpha=0.5)
  assert body.outputs == {"keypoints": 14}
  assert (body.names, body.stride, body.alpha) == (LSP_14.names, 2, 0.5)
  assert body.metrics().keys() == {"pck", "pckh", "oks"}
  assert task_of("scenes").names == LSP_14.names


def test_losses_are_those_of_the_method():
  assert task_of("lsp").losses == (("mse", 1.0, ()),)
  assert task_of("lsp", method="one_hot").losses == (("softmax", 1.0, ()),)
  both = task_of("lsp", method="direct", losses=("l2*2", "smooth_l1"))
  assert both.losses == (("l2", 2.0, ()), ("smooth_l1", 1.0, ()))


@pytest.mark.parametrize(
  ("name", "task", "says"),
  [
    (
      "pets",
      {},
      r"'pets' has no keypoints: .* scenes, scenes_clips, faces, lsp",
    ),
    ("lsp", {"method": "heatmaps"}, r"'heatmaps' is not known"),
    ("lsp", {"method": "no", "losses": ("mse",)}, r"task\.method = 'no'"),
    (
      "lsp",
      {"losses": ("softmax",)},
      r"'softmax', which is no loss of .* expected mse",
    ),
    ("lsp", {"min_m": 1.0}, r"min_m is not an option of Keypoints"),
    ("lsp", {"stride": -4}, r"task\.stride = -4"),
  ],
)
def test_what_cannot_be(name, task, says):
  with pytest.raises(UserError, match=says):
    task_of(name, **task)


def test_keys_of_keypoints_are_refused_by_other_tasks():
  config = defaults.get_config()
  config.task.sigma = 2.0
  with pytest.raises(UserError, match="sigma is not an option of Semantic"):
    assignment.make_task(config, build.dataset(config))


def test_windows_are_put_together_of_heatmaps_alone():
  slide = inference.InferenceOptions(mode="slide", window=(16, 16))
  inference.build_forward(None, task_of("lsp"), slide)
  for method in ("one_hot", "direct"):
    with pytest.raises(UserError, match="answers for a whole image"):
      inference.build_forward(None, task_of("lsp", method=method), slide)


def test_a_data_set_without_classes_has_no_semantic_task():
  config = config_of("faces")
  config.task.name = "semantic"
  with pytest.raises(UserError, match="needs classes, and this data set has"):
    assignment.make_task(config, build.dataset(config))
