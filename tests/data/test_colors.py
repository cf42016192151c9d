"""Colours are counted in their bins, and the command writes what is read."""

import numpy as np
import pytest
from skimage import color as reference

from jaxseg.data import colors
from jaxseg.ops import color_bins

BINS = color_bins.gamut_bins()


def picture(*columns):
  """uint8 (8, 4 * n, 3): columns of four pixels of one colour."""
  row = np.array(columns, np.uint8).repeat(4, 0)
  return np.broadcast_to(row, (8, *row.shape)).copy()


def test_pixels_are_counted_in_the_nearest_bin():
  columns = [(128, 128, 128), (255, 0, 0), (10, 10, 10), (0, 0, 255)]
  counts = colors.count([picture(*columns), picture((90, 90, 90))], BINS)
  assert counts.sum() == 2 * 4 + 2
  want = np.zeros(len(BINS))
  for column, pixels in zip([*columns, (90, 90, 90)], [2] * 5):
    ab = reference.rgb2lab(np.array(column) / 255)[1:]
    want[np.argmin(((BINS - ab) ** 2).sum(-1))] += pixels
  np.testing.assert_array_equal(counts, want)
  assert counts.max() == 6  # grey, of every lightness


class Source(list):
  def name_of(self, index):
    return f"picture {index}"


@pytest.fixture
def two_pictures(monkeypatch):
  source = Source([picture((255, 0, 0)), picture((128, 128, 128))])
  monkeypatch.setattr(colors.sources, "open_source", lambda *_: source)
  monkeypatch.setattr(
    colors.decode,
    "decoder_of",
    lambda spec: lambda record, name: {"image": record},
  )


def test_the_command_writes_one_frequency_a_line(
  two_pictures, tmp_path, capsys
):
  out = tmp_path / "prior.txt"
  argv = ["--dataset=scenes", f"--out={out}"]
  assert colors.main(argv) == 0
  values = np.loadtxt(out)
  assert values.shape == (len(BINS),)
  assert values.sum() == pytest.approx(1, abs=1e-6)
  # Half of it around grey, half around red.
  distance = np.linalg.norm(BINS, axis=-1)
  assert values[distance < 50].sum() == pytest.approx(0.5, abs=1e-3)

  assert colors.main(["--dataset=scenes", f"--out={tmp_path}"]) == 2
  assert colors.main(["--dataset=scene", f"--out={out}"]) == 2
  err = capsys.readouterr().err
  assert "cannot be written" in err
  assert "--dataset=scene is not known" in err
