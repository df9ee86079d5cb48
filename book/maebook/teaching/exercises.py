"""The exercises of a notebook, and whether they keep the book's contract.

A question in prose is an {exercise} with a {solution}. A coding exercise is three cells in a row: the {exercise}; a
code cell tagged `exercise-solution`, whose part between `### BEGIN SOLUTION` and `### END SOLUTION` is the student's to
write; and a code cell tagged `exercise-check` that asserts. Both carry the exercise's label and the check its points.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mae_lib.folders import checkout
from maebook.teaching.directives import Directive, pieces

SOLUTION, CHECK, ANSWER, INSTRUCTOR = "exercise-solution", "exercise-check", "exercise-answer", "instructor"
PROSE_POINTS = 1
FEWEST, MOST = 2, 6  # exercises on a page
# What an exercise asks for, which opens its title: what the page says; a case of one's own, by hand; a function that a
# check marks; another run of the page; a question that nobody has answered.
LEVELS = ("Recall", "Apply", "Code", "Run", "Research")
# What a student finds in place of a solution; nbgrader writes the same.
STUB = 'raise NotImplementedError("this part is yours to write: replace this line, then run this cell and the check")'
_REGION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION[^\n]*\n(?P<body>.*?)^[ \t]*### END SOLUTION[^\n]*$", re.M | re.S
)


class ContractError(ValueError):
    """A notebook whose exercises do not keep the contract; the message lists how."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: its label, title and statement; its solution, Markdown or code; and, if it is coded, its check."""

    label: str
    title: str
    statement: str
    solution: str
    check: str | None = None
    points: int = PROSE_POINTS

    @property
    def coded(self) -> bool:
        return self.check is not None


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def notebooks(root: Path | None = None) -> list[Path]:
    """The book's notebooks, in the order of its contents; one that is not in them comes last."""
    root = root or checkout() or Path.cwd()
    contents = root / "book" / "_toc.yml"
    order = re.findall(r"experiments/(\w+)", contents.read_text()) if contents.is_file() else []
    places = {name: place for place, name in enumerate(order)}
    return sorted((root / "notebooks").glob("*.ipynb"), key=lambda p: (places.get(p.stem, len(order)), p.stem))


def chapters(root: Path | None = None) -> list[Path]:
    """Those that teach: they have exercises."""
    return [path for path in notebooks(root) if "{exercise}" in path.read_text(encoding="utf-8")]


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def _cell(source: str, id: str, *marks: str, **metadata) -> NotebookNode:
    cell = nbformat.v4.new_markdown_cell(source, id=id[:64], metadata=metadata)
    if marks:
        cell.metadata["tags"] = list(marks)
    return cell


def _label(directive: Directive) -> str:
    return directive.argument if directive.name == "solution" else directive.options.get("label", "")


def _parts(cell: NotebookNode) -> Iterator[NotebookNode]:
    """A Markdown cell, cut so that each {exercise} and each {solution} stands in a cell of its own."""
    plain: list[str] = []
    cut: list[tuple[str, str | None]] = []
    for piece in pieces(cell.source):
        if isinstance(piece, Directive) and piece.name in ("exercise", "solution"):
            cut += [("\n\n".join(plain), None)] * bool(plain) + [(piece.text, _label(piece))]
            plain = []
        else:
            plain.append(piece if isinstance(piece, str) else piece.text)
    cut += [("\n\n".join(plain), None)] * bool(plain)
    for number, (text, label) in enumerate(cut):
        new = nbformat.from_dict({**cell, "source": text, "metadata": dict(cell.metadata)})
        new.id = cell.id if number == 0 else f"{cell.id[:58]}-{number}"
        if label is not None:
            new.metadata["exercise"] = label
            if "{solution}" in text.split("\n", 1)[0]:
                new.metadata["tags"] = [*tags(new), ANSWER]
        yield new


def apart(book: NotebookNode) -> list[NotebookNode]:
    """The cells, copied, with each exercise and each prose solution in a cell of its own that carries its label.

    Raises ContractError for Markdown whose fences do not close.
    """
    cells = []
    for number, cell in enumerate(book.cells):
        try:
            cells += [nbformat.from_dict(cell)] if cell.cell_type != "markdown" else list(_parts(cell))
        except ValueError as error:
            raise ContractError(f"cell {number}: {error}") from None
    return cells


def exercises(book: NotebookNode) -> list[Exercise]:
    """The exercises of a notebook in order. Raises ContractError for what breaks the contract."""
    if found := problems(book):
        raise ContractError("; ".join(found))
    return _exercises(book)


def _exercises(book: NotebookNode) -> list[Exercise]:
    found, cells = [], apart(book)
    for cell in cells:
        if not is_statement(cell):
            continue
        directive = next(piece for piece in pieces(cell.source) if isinstance(piece, Directive))
        label = _label(directive)
        known = {kind: _of(cells, label, kind) for kind in (SOLUTION, CHECK, ANSWER)}
        solution = known[SOLUTION] or known[ANSWER]
        check = known[CHECK]
        found.append(
            Exercise(
                label,
                directive.argument,
                directive.body,
                solution.source if solution else "",
                check.source if check else None,
                check.metadata.get("points", 0) if check else PROSE_POINTS,
            )
        )
    return found


def _of(cells: list[NotebookNode], label: str, kind: str) -> NotebookNode | None:
    return next((c for c in cells if kind in tags(c) and c.metadata.get("exercise") == label), None)


def is_statement(cell: NotebookNode) -> bool:
    return cell.cell_type == "markdown" and "exercise" in cell.metadata and ANSWER not in tags(cell)


def solution_of(source: str) -> str:
    """What stands between the marks of a solution cell, all regions together, without indentation."""
    return "\n".join(textwrap.dedent(match["body"]).rstrip() for match in _REGION.finditer(source))


def replaced(source: str, code: str = STUB) -> str:
    """A solution cell with `code` in the place of the first marked region, and the others empty."""
    first = True

    def region(match: re.Match) -> str:
        nonlocal first
        text, first = (code if first else "pass"), False
        lines = [f"{match['indent']}### BEGIN SOLUTION", textwrap.indent(text, match["indent"])]
        return "\n".join([*lines, f"{match['indent']}### END SOLUTION"])

    return _REGION.sub(region, source)


def _code_problems(exercise: str, solution: NotebookNode, check: NotebookNode) -> Iterator[str]:
    source = solution.source
    begins, ends = source.count("### BEGIN SOLUTION"), source.count("### END SOLUTION")
    if not begins or begins != ends or len(list(_REGION.finditer(source))) != begins:
        yield f"{exercise}: the solution needs `### BEGIN SOLUTION` and `### END SOLUTION` in pairs"
    elif not solution_of(source).strip():
        yield f"{exercise}: there is nothing between the solution's marks"
    for name, cell in (("solution", solution), ("check", check)):
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            yield f"{exercise}: the {name} is not Python: {error}"
            return
    asserts = [node for node in ast.walk(ast.parse(check.source)) if isinstance(node, ast.Assert)]
    if not asserts:
        yield f"{exercise}: the check asserts nothing"
    for node in asserts:
        if node.msg is None:
            yield f"{exercise}: `{ast.unparse(node)}` says nothing when it fails"
    points = check.metadata.get("points")
    if not isinstance(points, int) or points < 1:
        yield f"{exercise}: the check's `points` are {points!r}, and should be a whole number from 1"


def problems(book: NotebookNode) -> list[str]:
    """How a notebook's exercises break the contract, a sentence each; none if they keep it."""
    cells, found = apart(book), []
    statements = [cell for cell in cells if is_statement(cell)]
    labels = [cell.metadata["exercise"] for cell in statements]
    found += [f"two exercises are labelled {label!r}" for label in sorted({x for x in labels if labels.count(x) > 1})]
    found += ["an exercise has no `:label:`"] * labels.count("")
    for at, cell in enumerate(cells):
        kind = next((mark for mark in (SOLUTION, CHECK, ANSWER) if mark in tags(cell)), None)
        label = cell.metadata.get("exercise", "")
        if kind and label not in labels:
            found.append(f"cell {at} is tagged {kind} of {label!r}, and no exercise has that label")
        if kind == SOLUTION:
            before, after = cells[at - 1], cells[at + 1] if at + 1 < len(cells) else None
            if before.metadata.get("exercise") != label or not is_statement(before):
                found.append(f"{label}: the solution must follow its exercise")
            if after is None or CHECK not in tags(after) or after.metadata.get("exercise") != label:
                found.append(f"{label}: a cell tagged {CHECK} must follow the solution")
            else:
                found += _code_problems(label, cell, after)
        elif kind == CHECK and _of(cells, label, SOLUTION) is None:
            found.append(f"{label}: a check without a solution")
    for label in filter(None, labels):
        if _of(cells, label, SOLUTION) is None and _of(cells, label, ANSWER) is None:
            found.append(f"{label}: there is no solution")
    return found


def page_problems(book: NotebookNode) -> list[str]:
    """What a chapter lacks: objectives, what it needs, time, take-away, two to six exercises.

    They keep the contract; each one's title says its level, and one at least is coded.
    """
    prose = "\n".join(
        cell.source for cell in book.cells if cell.cell_type == "markdown" and INSTRUCTOR not in tags(cell)
    )
    boxes = [piece for piece in pieces(prose) if isinstance(piece, Directive) and piece.name == "admonition"]
    opening = next((box.body for box in boxes if box.argument == "Before you start"), "")
    found = [f"the opening box lacks {said!r}" for said in ("You will", "You need", "It takes") if said not in opening]
    if not any(box.argument == "Take-away" for box in boxes):
        found.append("there is no take-away")
    found += problems(book)
    tasks = _exercises(book)
    for task in tasks:
        if task.title.split(":")[0] not in LEVELS:
            found.append(f"{task.label}: the title should open with its level, one of {', '.join(LEVELS)}")
        elif task.coded != task.title.startswith("Code"):
            found.append(f"{task.label}: an exercise that a check marks is of the level Code, and no other is")
    if not any(task.coded for task in tasks):
        found.append("no exercise is in code with a check")
    number = len(tasks)
    if not FEWEST <= number <= MOST:
        found.append(f"there are {number} exercises, and should be {FEWEST} to {MOST}")
    return found
