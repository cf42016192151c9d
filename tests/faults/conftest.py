"""One run that nothing happened to, for all that something happens to."""

import pytest

from jaxseg.data.builders import scenes
from tests.faults import runs


@pytest.fixture(scope="session")
def whole(server, data):
  """The workdir of the run of `runs.flags`, undisturbed."""
  workdir = data.parent / "whole"
  status, _, err = server.run(runs.flags(data, workdir), **runs.ENV)
  assert status == 0, err
  return workdir


@pytest.fixture(scope="session")
def records(tmp_path_factory):
  """A data directory with few of the embedded scenes: 12 and 4."""
  root = tmp_path_factory.mktemp("records")
  config = scenes.JaxsegScenes.BUILDER_CONFIGS[0]
  with pytest.MonkeyPatch.context() as patch:
    for split, count in (("train", 12), ("val", 4), ("test", 0)):
      patch.setattr(config, split, count)
    scenes.prepare(str(root))
  return root
