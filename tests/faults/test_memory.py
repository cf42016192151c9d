"""Too little memory: one sentence that says what to make smaller.

RLIMIT_AS is the machine with less memory that a test can have.
"""

import numpy as np
import pytest

from jaxseg import faults
from tests.faults import runs


@pytest.mark.slow
@pytest.mark.parametrize(
  ("size", "batch", "width"),
  [
    (2048, 512, 2),  # a batch of 6.4 GB in the pipeline
    (1024, 16, 32),  # 50 MB of images, and activations of several GB
  ],
  ids=["pipeline", "step"],
)
def test_an_allocation_fails(server, data, tmp_path, size, batch, width):
  argv = runs.flags(
    data,
    tmp_path,
    data__size=f"{size},{size}",
    data__batch_size=batch,
    model__width=width,
    data__augment="resize",
  )
  job = server.start(argv, headroom_mb=3000)
  status = job.wait(120)
  assert status == 2, (status, job.err[-2000:])
  last = job.err.strip().splitlines()[-1]
  assert last.startswith("error: the memory is too small ("), job.err
  assert "config.data.batch_size" in last
  assert "Traceback" not in job.err


@pytest.mark.parametrize(
  "error",
  [
    MemoryError(),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 12 bytes."),
    RuntimeError("can't start new thread"),
    OSError(12, "Cannot allocate memory"),
  ],
  ids=str,
)
def test_memory_is_told_from_bugs(error):
  outer = ValueError("while predicting")
  outer.__cause__ = error
  for found in (error, outer):
    assert "memory is too small" in faults.sentence(found)
  assert not faults.sentence(ValueError("memory of elephants"))


def test_numpys_own():
  with pytest.raises(MemoryError) as e:
    np.zeros(1 << 60, np.uint8)
  assert "Unable to allocate" in faults.sentence(e.value)
