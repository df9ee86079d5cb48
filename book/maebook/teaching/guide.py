"""What an instructor should know of each chapter: how long it takes, what is misunderstood, what breaks, how to mark.

Misconceptions and troubles are written once, in `book/teaching/chapters.yml`; the instructor's edition and the guide's
page both read it. Minutes to plan with stand in the box that opens a page, and what the code takes is not written at
all: it is measured, and comes from the runs of executed notebooks.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

from mae_lib.folders import checkout
from maebook.bundles import run_of
from maebook.run_card import duration
from maebook.teaching.exercises import Exercise

_FIELDS = {"misconceptions": list, "breaks": list}
_WORDS = {"ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
_HOURS = {"a quarter of an hour": 15, "half an hour": 30, "three quarters of an hour": 45, "an hour": 60}
_TAKES = re.compile(r"\*\*It takes\*\* (?:about )?(.+?) to read,? (?:and )?(.+?)(?: more)? for the exercises")


class GuideError(ValueError):
    """A teaching file that says too little, too much, or something of a kind that it should not."""


def teaching_folder() -> Path:
    return (checkout() or Path.cwd()) / "book" / "teaching"


def guide(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Chapter -> `misconceptions` (wrong, right) and `breaks`.

    Raises GuideError, naming chapter and field.
    """
    path = (folder or teaching_folder()) / "chapters.yml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    for chapter, entry in found.items():
        if set(entry) != set(_FIELDS) or not all(isinstance(entry[k], kind) for k, kind in _FIELDS.items()):
            raise GuideError(f"{path}: {chapter} needs exactly {', '.join(_FIELDS)}")
        for wrong in entry["misconceptions"]:
            if set(wrong) != {"wrong", "right"}:
                raise GuideError(f"{path}: a misconception of {chapter} needs `wrong` and `right`, not {wrong}")
    return found


def _minutes(text: str) -> int | None:
    number = re.fullmatch(r"(\w+)(?: minutes)?", text)
    if number:
        return int(number[1]) if number[1].isdigit() else _WORDS.get(number[1])
    return _HOURS.get(text)


def planned(book: NotebookNode) -> tuple[int, int] | None:
    """Minutes to read a chapter and for its exercises, as its opening box says; None where it does not say both."""
    found = _TAKES.search(book.cells[0].source)
    if not found:
        return None
    reading = _minutes(found[1])
    doing = reading if found[2] == "as long" else _minutes(found[2])
    return None if reading is None or doing is None else (reading, doing)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _page(name: str) -> str:
    return f"{{doc}}`/experiments/{name}`"


def times(books: Mapping[str, NotebookNode], executed: Path) -> str:
    """A Markdown table: minutes to read each chapter and for its exercises, and what its code took in this build.

    `executed`: the folder of the build's executed notebooks.
    """
    rows = []
    for name, book in books.items():
        path = executed / f"{name}.ipynb"
        run = run_of(nbformat.read(path, as_version=4)) if path.is_file() else None
        took = duration(run["wall_seconds"]) if run else "not run"
        rows.append((_page(name), *(planned(book) or (0, 0)), took))
    total = ("**all**", *(sum(row[i] for row in rows) for i in (1, 2)), "")
    return _table(["chapter", "reading, min", "exercises, min", "its code, here"], [*rows, total])


def points(found: Mapping[str, Sequence[Exercise]]) -> str:
    """A Markdown table of chapters: exercises, those that a check marks, and points."""
    rows = [
        (_page(name), len(some), sum(one.coded for one in some), sum(one.points for one in some))
        for name, some in found.items()
    ]
    total = ("**all**", *(sum(row[i] for row in rows) for i in (1, 2, 3)))
    return _table(["chapter", "exercises", "marked by a check", "points"], [*rows, total])


def troubles(names: Iterable[str], folder: Path | None = None) -> str:
    """Misconceptions and what breaks in these chapters, one after another, as Markdown."""
    parts, notes = [], guide(folder)
    for name in names:
        if name not in notes:
            raise GuideError(f"chapters.yml says nothing of {name}, which has exercises")
        entry = notes[name]
        breaks = "\n".join(f"- {line}" for line in entry["breaks"])
        parts.append(f"**{_page(name)}**\n\n{misconceptions(entry)}\n\nWhat breaks:\n\n{breaks}")
    return "\n\n".join(parts)


def misconceptions(entry: Mapping[str, Any]) -> str:
    """A chapter's misconceptions as a Markdown list."""
    return "\n".join(f"- *{pair['wrong']}* {pair['right']}" for pair in entry["misconceptions"])


def marking_table(exercises: Iterable[Exercise]) -> str:
    """The points of each exercise, and who gives them, as a Markdown table."""
    kinds = {True: ("code", "the check"), False: ("prose", "you")}
    rows = [(one.title or one.label, kinds[one.coded][0], one.points, kinds[one.coded][1]) for one in exercises]
    return _table(["exercise", "kind", "points", "marked by"], rows)


def marking_guide(
    entry: Mapping[str, Any],
    exercises: Sequence[Exercise],
    run: Mapping[str, Any] | None,
    minutes: tuple[int, int] | None = None,
) -> str:
    """The closing cell of the instructor's edition."""
    plan = "About {} minutes to read and {} for the exercises. ".format(*minutes) if minutes else ""
    ran = "Its code has not been run here; see the run card after you have."
    if run:
        preset = run["parameters"]["preset"]
        ran = f"Its code took {duration(run['wall_seconds'])} at the `{preset}` preset on {run['device']}."
    parts = [
        "## For the instructor",
        f"**Time.** {plan}{ran}",
        f"### Misconceptions\n\n{misconceptions(entry)}",
        "### What breaks\n\n" + "\n".join(f"- {line}" for line in entry["breaks"]),
        "### Marking\n\nCode is marked by its check, all points or none. Prose earns its point for the reason, not for "
        f"the word; the solutions above say what a full answer holds.\n\n{marking_table(exercises)}",
    ]
    return "\n\n".join(parts)
