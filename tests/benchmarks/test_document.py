"""The page of results says what the files say."""

import json

from benchmarks import document, report


def test_the_page_is_that_of_the_files():
  text = document.page(document.read())
  assert document.PAGE.read_text() == text, "run python -m benchmarks.document"


def test_what_was_not_measured_is_said():
  text = document.page({})
  assert text.count("Not yet measured.") == len(document.SECTIONS)


def test_a_section_of_a_report(tmp_path, monkeypatch):
  """Through the writer of reports: numbers, machine and command."""
  monkeypatch.setattr(report.sys, "argv", ["startup", "--rounds=1"])
  report.write(
    tmp_path / "startup.json",
    "startup",
    packages=("numpy", "nothing of that name"),
    config="configs/a.py",
    load_before=0.25,
    median_seconds={"cold": 19.04, "warm": 7.5},
  )
  reports = document.read(tmp_path)
  section = document.page(reports).split("## From the command")[1]
  section = section.split("##")[0]
  for part in (
    "| no compiled programs | 19.0 |",
    "| with those of the run before | 7.5 |",
    "`configs/a.py`",
    "`python -m benchmarks.startup --rounds=1` (",
    f"numpy {reports['startup']['versions']['numpy']}",
    "load before 0.2",
  ):
    assert part in section, section
  assert "nothing of that name" not in section


def test_every_table_has_as_many_cells_in_each_row():
  for block in document.page(document.read()).split("\n\n"):
    if block.startswith("|"):
      assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_results_are_json_with_a_command():
  for path in document.RESULTS.glob("*.json"):
    assert json.loads(path.read_text())["command"].startswith("python -m ")
