"""torchvision, for the parity tests."""

import pytest

from benchmarks import peers


@pytest.fixture(scope="session")
def torchvision():
  """torchvision, importable without its compiled operators."""
  return peers.torchvision()
