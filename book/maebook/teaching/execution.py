"""Run one exercise: the cells that it needs, a solution in the place of the stub, and the check.

Which cells it needs is read from the names: whatever a solution or a check uses, the cell that made it, and what that
cell uses. An exercise that needs the imports and the parameters only runs at once, however long its page takes.
"""

import ast
import builtins
import contextlib
import io
import linecache
import symtable
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from nbformat import NotebookNode

from maebook.teaching.exercises import CHECK, SOLUTION, ContractError, Exercise, replaced, tags

_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Outcome:
    """How a check went: `error` is what was raised, or None; `seconds` without the cells before it."""

    error: BaseException | None
    seconds: float

    @property
    def passed(self) -> bool:
        return self.error is None

    @property
    def said(self) -> str:
        return "passed" if self.passed else f"{type(self.error).__name__}: {self.error}"


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _changed(statement: ast.AST) -> Iterator[str]:
    """Names into whose insides a statement writes: `table["x"] = ...`, `point.x = ...`."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            while isinstance(node, ast.Subscript | ast.Attribute):
                node = node.value
            if isinstance(node, ast.Name):
                yield node.id


def _steps(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Statements in the order in which they run; loops and the like opened up, heads before bodies."""
    for statement in body:
        match statement:
            case ast.For(target=target, iter=source):
                yield ast.Assign([target], source, lineno=0)
            case ast.If(test=test) | ast.While(test=test):
                yield ast.Expr(test)
            case ast.With(items=items):
                for item in items:
                    value = item.context_expr
                    yield ast.Assign([item.optional_vars], value, lineno=0) if item.optional_vars else ast.Expr(value)
            case ast.Try():
                pass
            case _:
                yield statement
                continue
        for part in ("body", "handlers", "orelse", "finalbody"):
            inner = getattr(statement, part, [])
            yield from _steps([line for one in inner for line in (one.body if part == "handlers" else [one])])


@cache
class _Generators(ast.NodeTransformer):
    """Comprehensions as generators: these keep their variables to themselves in the tables of every Python."""

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> ast.AST:
        return self.generic_visit(ast.GeneratorExp(node.elt, node.generators))

    visit_SetComp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        return self.generic_visit(ast.GeneratorExp(ast.Tuple([node.key, node.value], ast.Load()), node.generators))


def _names(source: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Names that a cell binds for others, names that it wants of others, and names whose insides it changes."""
    bound, wanted, changed = set(), set(), set()
    for step in _steps(ast.parse(source).body):
        changed |= set(_changed(step))
        top = symtable.symtable(ast.unparse(_Generators().visit(step)), "cell", "exec")
        used = {
            symbol.get_name()
            for table in _tables(top)
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (table is top or symbol.is_global())
        }
        if isinstance(step, ast.AugAssign) and isinstance(step.target, ast.Name):
            used.add(step.target.id)
        wanted |= used - bound - _BUILTINS
        bound |= {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    return frozenset(bound), frozenset(wanted), frozenset(changed)


def needed_cells(book: NotebookNode, labels: Sequence[str]) -> list[int]:
    """The code cells that these exercises need, in order, without their own solutions and checks."""
    own = [i for i, c in enumerate(book.cells) if c.metadata.get("exercise") in labels and c.cell_type == "code"]
    wanted: set[str] = set()
    needed = []
    for at in range(max(own, default=-1), -1, -1):
        cell = book.cells[at]
        if cell.cell_type != "code" or (CHECK in tags(cell) and at not in own):
            continue
        bound, used, changed = _names(cell.source)
        if at in own or wanted & (bound | changed):
            needed += [] if at in own else [at]
            wanted = (wanted - bound) | used
    return needed[::-1]


def _run(source: str, name: str, space: dict[str, Any]) -> None:
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # tracebacks, and inspect
    exec(compile(source, file, "exec"), space)


def prepared(book: NotebookNode, labels: Sequence[str], parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The namespace that these exercises start from, with `parameters` in the place of the notebook's own."""
    space: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for at in needed_cells(book, labels):
            _run(book.cells[at].source, f"cell {at}", space)
            if "parameters" in tags(book.cells[at]):
                space |= {name: value for name, value in (parameters or {}).items() if name in space}
    return space


def attempt(book: NotebookNode, exercise: Exercise, space: Mapping[str, Any], code: str | None = None) -> Outcome:
    """Run an exercise's cell and its check from `space`: with the solution, or with `code` in its place.

    Raises ContractError for an exercise in prose, which nothing can check.
    """
    if not exercise.coded:
        raise ContractError(f"{exercise.label} is answered in prose: there is nothing to run")
    mine = dict(space)
    source = exercise.solution if code is None else replaced(exercise.solution, code)
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            _run(source, f"{exercise.label}: {SOLUTION}", mine)
            _run(exercise.check, f"{exercise.label}: {CHECK}", mine)
        error = None
    except Exception as raised:
        error = raised
    return Outcome(error, time.perf_counter() - started)
