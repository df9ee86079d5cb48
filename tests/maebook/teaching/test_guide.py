"""The instructor's guide: each chapter's demands and misconceptions; times from runs, not typed."""

import re
from pathlib import Path

import nbformat
import pytest
import yaml

from maebook.bundles import RUN, run_of
from maebook.teaching.exercises import Exercise, chapters, read
from maebook.teaching.guide import (
    GuideError,
    guide,
    marking_guide,
    planned,
    points,
    times,
    troubles,
)

BOOK = Path(__file__).resolve().parents[3] / "book"
RECORD = {
    "parameters": {"preset": "smoke", "seeds": [0]},
    "seeds": [0],
    "device": "cpu: A & B",
    "threads": 1,
    "wall_seconds": 12.34,
    "finished": "2026-01-01T00:00:00+00:00",
    "versions": {"python": "3.11"},
    "code_hash": "abc",
    "git_commit": None,
}


def executed() -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("run_card(...)")
    cell.outputs = [nbformat.v4.new_output("display_data", {RUN: RECORD})]
    return nbformat.v4.new_notebook(cells=[cell])


def test_every_chapter_is_in_the_guide_and_none_that_is_no_chapter():
    assert set(guide()) == {path.stem for path in chapters()}
    for entry in guide().values():
        assert 2 <= len(entry["misconceptions"]) <= 5 and entry["breaks"]


def test_times_are_those_of_the_run(tmp_path):
    assert run_of(executed()) == RECORD and run_of(nbformat.v4.new_notebook()) is None
    nbformat.write(executed(), tmp_path / "3_0_images.ipynb")
    rows = times({path.stem: read(path) for path in chapters()}, tmp_path).split("\n")
    assert next(row for row in rows if "3_0_images" in row).endswith("| 12.3 s |")
    assert next(row for row in rows if "3_1_" in row).endswith("| not run |")


def test_a_closing_cell_says_what_was_run_and_who_marks():
    some = [Exercise("a", "Adding", "", "", "check", 2), Exercise("b", "Why", "", "")]
    text = marking_guide(guide()["3_0_images"], some, RECORD)
    assert "12.3 s at the `smoke` preset on cpu: A & B" in text
    assert "| Adding | code | 2 | the check |" in text and "| Why | prose | 1 | you |" in text
    assert points({"x": some}).split("\n")[-1] == "| **all** | 2 | 1 | 3 |"


@pytest.mark.parametrize(
    ("box", "minutes"),
    [
        ("**It takes** 15 minutes to read, 30 more for the exercises, and", (15, 30)),
        ("**It takes** about 15 minutes to read and 30 minutes for the exercises.", (15, 30)),
        ("**It takes** ten minutes to read and half an hour for the exercises; it", (10, 30)),
        ("**It takes** half an hour to read and as long for the exercises.", (30, 30)),
        ("**It takes** an hour to read and three quarters of an hour for the exercises.", (60, 45)),
        ("**It takes** a while to read and an hour for the exercises.", None),
        ("**It takes** half an hour; the code runs.", None),
    ],
)
def test_minutes_to_plan_with_are_those_of_the_opening_box(box, minutes):
    assert planned(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(box)])) == minutes


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"breaks": []}, "x needs exactly misconceptions, breaks"),
        ({"breaks": {}, "misconceptions": []}, "x needs exactly"),
        (
            {"breaks": [], "misconceptions": [{"wrong": "a"}]},
            "needs `wrong` and `right`",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path, entry, message):
    (tmp_path / "chapters.yml").write_text(yaml.safe_dump({"x": entry}))
    with pytest.raises(GuideError, match=message):
        guide(tmp_path)


def test_troubles_and_syllabi_name_pages_that_there_are():
    pages = {path.stem for path in (BOOK.parent / "notebooks").glob("*.ipynb")}
    said = troubles(path.stem for path in chapters()) + (BOOK / "teaching" / "syllabi.md").read_text()
    named = set(re.findall(r"/experiments/(\w+)", said))
    assert named <= pages and {path.stem for path in chapters()} <= named
