"""Three editions of the notebooks from the one source: the reader's, the student's and the instructor's; and a course.

`python -m maebook editions` writes

    editions/reader/       as the book: solutions folded
    editions/student/      solutions taken out, checks left in; prose questions with a cell for the answer
    editions/instructor/   solutions open, a marking guide, misconceptions, timings; nbgrader's metadata as in student/
    editions/course/       a folder for nbgrader: one short assignment a chapter, only the cells that its exercises need

Markdown is rewritten so that a notebook program shows it without Sphinx. No edition is written if a solution leaks.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from mae_lib.presets import load_preset
from maebook.bundles import run_of
from maebook.teaching import exercises as contract
from maebook.teaching.execution import needed_cells
from maebook.teaching.exercises import ANSWER, CHECK, INSTRUCTOR, SOLUTION, apart, chapters, read, tags
from maebook.teaching.guide import guide, marking_guide, planned
from maebook.teaching.to_markdown import plain

EDITIONS = ("reader", "student", "instructor")
_MARK = "This folder is made by `make editions`, and made anew each time: keep your work elsewhere."
_WRITE_HERE = "*Your answer goes here.*"
_SHORTEST = 12  # characters of a line that tells something
_NOTE = """**To run this notebook** you need the environment of the book.
In the book's repository, `make editions` has made it: `.venv/bin/jupyter lab {folder}` opens these notebooks in it.
Elsewhere, `pip install -c constraints.txt -e '.[notebooks,teaching]'` in a copy of the repository makes it.
It takes Python 3.11, 3.12 or 3.13.
No GPU is needed; the parameters below are those of the `{preset}` preset."""


class EditionError(ValueError):
    """An edition that must not be written, because it would give a solution away or has nothing to teach."""


def _plain(cell: NotebookNode, titles: Mapping[str, str], fold: bool = True) -> NotebookNode:
    if cell.cell_type == "markdown":
        cell.source = plain(cell.source, titles, fold)
    return cell


def _without(cell: NotebookNode, *unwanted: str) -> NotebookNode:
    cell.metadata["tags"] = [tag for tag in tags(cell) if tag not in unwanted]
    return cell


def _graded(cell: NotebookNode, name: str, points: int | None, solution: bool) -> NotebookNode:
    """The cell with nbgrader's metadata (schema 3). `points`: None for a cell that is not marked by itself."""
    record = {"grade_id": name, "grade": points is not None, "solution": solution, "task": False, "schema_version": 3}
    record |= {"locked": not solution, "cell_type": cell.cell_type}
    cell.metadata["nbgrader"] = record | ({} if points is None else {"points": points})
    return cell


def _for_slides_alone(cell: NotebookNode) -> bool:
    return "remove-cell" in tags(cell) and "slide" in cell.metadata


def _for_nbgrader(cell: NotebookNode) -> NotebookNode:
    """Solutions, checks and answers marked as nbgrader wants them; other cells as they are."""
    label = cell.metadata.get("exercise")
    if SOLUTION in tags(cell):
        return _graded(_without(cell, "hide-input"), f"{label}-solution", None, solution=True)
    if CHECK in tags(cell):
        return _graded(_without(cell, "hide-input"), f"{label}-check", cell.metadata["points"], solution=False)
    if ANSWER in tags(cell):
        return _graded(cell, f"{label}-answer", contract.PROSE_POINTS, solution=True)
    return cell


def _note(folder: str, preset: str = "book") -> NotebookNode:
    return nbformat.v4.new_markdown_cell(
        "\n".join("> " + line for line in _NOTE.format(folder=folder, preset=preset).split("\n")), id="environment-note"
    )


def _reader(cell: NotebookNode, titles: Mapping[str, str]) -> NotebookNode:
    """As in the book: solutions folded."""
    if SOLUTION in tags(cell) or CHECK in tags(cell):
        cell.metadata["jupyter"] = {"source_hidden": True}
    return _plain(cell, titles)


def _student(cell: NotebookNode, titles: Mapping[str, str]) -> NotebookNode:
    """A stub in the place of code, an empty cell in the place of prose."""
    if SOLUTION in tags(cell):
        cell.source = contract.replaced(cell.source)
    elif ANSWER in tags(cell):
        cell.source = _WRITE_HERE
    return _for_nbgrader(_plain(cell, titles))


def _instructor(cell: NotebookNode, titles: Mapping[str, str]) -> NotebookNode:
    """Solutions open, instructors' cells in."""
    return _for_nbgrader(_plain(_without(cell, "remove-cell"), titles, fold=False))


_TURN = {"reader": _reader, "student": _student, "instructor": _instructor}


def leaks(book: NotebookNode, edition: NotebookNode) -> list[str]:
    """Lines of a solution, in code or prose, that the edition shows anywhere, metadata and outputs included.

    A line that the notebook also has outside of its solutions gives nothing away, nor does a very short one.
    """
    secret, public = set(), ""
    for cell in apart(book):
        told, hidden = cell.source, ""
        if SOLUTION in tags(cell):
            told, hidden = contract.replaced(cell.source), contract.solution_of(cell.source)
        elif ANSWER in tags(cell) or INSTRUCTOR in tags(cell):
            told, hidden = "", cell.source
        secret |= {line.strip() for line in hidden.split("\n")}
        public += told + "\n"
    shown = json.dumps(edition, ensure_ascii=False)
    secret = {line for line in secret if len(line) >= _SHORTEST and line not in public}
    secret = {line for line in secret if not line.startswith((":", "`", "#"))}  # fences, options, comments
    return sorted(line for line in secret if json.dumps(line, ensure_ascii=False)[1:-1] in shown)


def edition(
    book: NotebookNode,
    name: str,
    kind: str,
    titles: Mapping[str, str] | None = None,
    run: Mapping[str, Any] | None = None,
) -> NotebookNode:
    """The notebook `name` as an edition: `kind` is reader, student or instructor.

    `titles`: page -> title of the edition's other notebooks, which are linked. `run`: the provenance of an
    executed copy. Raises ContractError for exercises that break the contract, and EditionError for a
    student's edition that would give a solution away.
    """
    tasks = contract.exercises(book)
    if kind not in _TURN:
        raise EditionError(f"there is no edition {kind!r}: choose among {', '.join(_TURN)}")
    hidden = INSTRUCTOR if kind != "instructor" else None
    cells = [c for c in apart(book) if hidden not in tags(c) and not _for_slides_alone(c)]
    cells = [_TURN[kind](cell, titles or {}) for cell in cells]
    cells.insert(1, _note(f"editions/{kind}"))
    if kind == "instructor" and name in (notes := guide()):
        text = marking_guide(notes[name], tasks, run, planned(book))
        cells.append(nbformat.v4.new_markdown_cell(text, id="marking-guide", metadata={"tags": [INSTRUCTOR]}))
    made = nbformat.v4.new_notebook(cells=cells, metadata=book.metadata)
    if kind == "student" and (found := leaks(book, made)):
        raise EditionError(f"the student's edition of {name} would show {found[0]!r}, which belongs to a solution")
    return made


def assignment(book: NotebookNode, name: str, titles: Mapping[str, str], preset: str = "smoke") -> NotebookNode:
    """The exercises of a chapter alone, with the cells that they need, as nbgrader's source: it runs in seconds.

    Cells that were needed are locked; parameters are those of the preset.
    """
    tasks = contract.exercises(book)
    given = [nbformat.from_dict(book.cells[i]) for i in needed_cells(book, [t.label for t in tasks if t.coded])]
    for number, cell in enumerate(given):
        if "parameters" in tags(cell):
            declared = {k: v for k, v in load_preset(preset).items() if re.search(rf"^{k}\b", cell.source, re.M)}
            cell.source += f"\n# The {preset} preset, so that the assignment runs in seconds.\n"
            cell.source += "\n".join(f"{k} = {v!r}" for k, v in declared.items() if k != "scale")
        _graded(cell, f"given-{number}", None, solution=False)
    title = next(line for line in book.cells[0].source.split("\n") if line.startswith("# "))
    opening = nbformat.v4.new_markdown_cell(
        f"{title}\n\nThe exercises of this chapter. Read the chapter first: `editions/student/{name}.ipynb`.",
        id="title",
    )
    asked = [_for_nbgrader(_plain(cell, titles, fold=False)) for cell in apart(book) if cell.metadata.get("exercise")]
    cells = [opening, _note("editions/student", preset), *given, *asked]
    return nbformat.v4.new_notebook(cells=cells, metadata=book.metadata)


_CONFIG = """# nbgrader: the assignments lie in source/, one a chapter. In this folder run, for example,
#   nbgrader generate_assignment 2_3_theorem_1     release/2_3_theorem_1, without solutions
#   nbgrader autograde 2_3_theorem_1               marks submitted/STUDENT/2_3_theorem_1
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "understanding-masked-autoencoders"
c.ClearSolutions.begin_solution_delimeter = "BEGIN SOLUTION"
c.ClearSolutions.end_solution_delimeter = "END SOLUTION"
c.ClearSolutions.code_stub = {{"python": {stub!r}}}
c.ClearSolutions.text_stub = {answer!r}
c.ExecutePreprocessor.timeout = 600  # seconds a cell
"""

_README = """# Understanding Masked Autoencoders, executable: {kind} edition

{mark}

{note}

{contents}
"""


def _title(book: NotebookNode) -> str:
    return next(line for line in book.cells[0].source.split("\n") if line.startswith("# ")).removeprefix("# ")


def _write(path: Path, book: NotebookNode) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(book)
    nbformat.write(book, path)


def _run(name: str, runs: Path) -> Mapping[str, Any] | None:
    """The run of a notebook's executed copy, the book's first."""
    for preset in ("book", "laptop", "gpu", "smoke"):
        if (path := runs / "notebooks" / preset / f"{name}.ipynb").is_file():
            return run_of(read(path))
    return None


def write_editions(out: Path, runs: Path, root: Path | None = None) -> list[Path]:
    """Write all editions and the course into the folder `out`; returns the folders.

    Folders of an earlier call are replaced; a folder of that name which `make editions` did not make is refused.
    Raises as `edition` does, and then leaves `out` as it was.
    """
    books = {path.stem: read(path) for path in chapters(root)}
    titles = {name: _title(book) for name, book in books.items()}
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    folders = [*EDITIONS, "course"]
    for folder in folders:
        old = out / folder
        if old.exists() and not (old / "README.md").is_file():
            raise EditionError(f"{old} was not made by `make editions`: move it away, or choose another --out")
    try:
        for name, book in books.items():
            try:
                for kind in EDITIONS:
                    made = edition(book, name, kind, titles, _run(name, runs))
                    _write(fresh / kind / f"{name}.ipynb", made)
                source = fresh / "course" / "source" / name / f"{name}.ipynb"
                _write(source, assignment(book, name, titles))
            except ValueError as error:
                raise EditionError(f"{name}: {error}") from None
        for folder in folders:
            contents = "\n".join(f"- `{name}.ipynb`: {title}" for name, title in titles.items())
            note = _NOTE.format(folder=f"editions/{folder}", preset="book")
            (fresh / folder).mkdir(parents=True, exist_ok=True)
            (fresh / folder / "README.md").write_text(
                _README.format(kind=folder, mark=_MARK, note=note, contents=contents), encoding="utf-8"
            )
        config = _CONFIG.format(stub=contract.STUB, answer=_WRITE_HERE)
        (fresh / "course" / "nbgrader_config.py").write_text(config, encoding="utf-8")
        for folder in folders:
            shutil.rmtree(out / folder, ignore_errors=True)
            (out / folder).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(fresh / folder, out / folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return [out / folder for folder in folders]
