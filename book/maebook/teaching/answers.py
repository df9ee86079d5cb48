"""Pages without answers, for a student's book that is public: `mae_answers: false` in `_config.yml`.

Solutions, checks, instructors' cells and the right answers of quizzes are left out before anything is rendered, so no
page, no search index, no printed book and no source that a page offers holds them. The repository still does.
"""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from maebook.teaching import exercises as contract
from maebook.teaching.directives import Directive, pieces

SETTING = "mae_answers"
_LEFT_OUT = {contract.ANSWER, contract.CHECK, contract.INSTRUCTOR}
HELD_BACK = "This edition of the book holds its answers back."


def shown(root: Path) -> bool:
    """Whether the book in `root` is rendered with its answers."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config.get("sphinx", {}).get("config", {}).get(SETTING, True)


def without_solutions(text: str) -> str:
    """Markdown without its {solution}s. Raises ValueError for a fence that is never closed."""
    for piece in pieces(text):
        if isinstance(piece, Directive) and piece.name == "solution":
            text = text.replace(piece.text, "", 1)
    return text


def without_answers(book: NotebookNode) -> NotebookNode:
    """A copy of a notebook, executed or not, in which a stub stands in the place of each coded solution."""
    return nbformat.v4.new_notebook(cells=list(_cells(book)), metadata=book.metadata)


def _cells(book: NotebookNode) -> Iterator[NotebookNode]:
    for cell in map(nbformat.from_dict, book.cells):
        marks = contract.tags(cell)
        if _LEFT_OUT & set(marks):
            continue
        if cell.cell_type == "markdown":
            cell.source = without_solutions(cell.source)
        elif contract.SOLUTION in marks:
            cell.source, cell.outputs = contract.replaced(cell.source), []
            cell.metadata["tags"] = [mark for mark in marks if mark != "hide-input"]
        yield cell


def _held_back(text: str, notebook: bool) -> str:
    return nbformat.writes(without_answers(nbformat.reads(text, as_version=4))) if notebook else without_solutions(text)


def _read(app, name: str, content: list[str]) -> None:
    if not app.config[SETTING]:
        content[0] = _held_back(content[0], app.env.doc2path(name).endswith(".ipynb"))


def _finish(app, error) -> None:
    """What a page offers as its source, which Sphinx copies as it stands."""
    if error or app.config[SETTING]:
        return
    for path in (path for path in Path(app.outdir, "_sources").rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8")
        path.write_text(_held_back(text, ".ipynb" in path.suffixes), encoding="utf-8")


def setup(app):
    app.add_config_value(SETTING, True, "env", [bool])
    app.connect("source-read", _read, priority=100)  # before anything is put into a page
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
