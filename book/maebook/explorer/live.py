"""A live cell: the text of a program in, what it prints, draws and gets wrong out, as HTML.

The book runs it once when it is built, and Pyodide runs it in the reader's browser: so everything here, and all that
it imports, is plain Python.
"""

import traceback
from collections.abc import Hashable, Iterable
from contextlib import redirect_stdout
from html import escape
from io import StringIO

from mae_lib.theory import LatentHierarchy, SharedInformation, locate_shared_information
from maebook.explorer.drawing import graph_svg, set_list
from maebook.graph_layout import LARGEST

_CELL = "<cell>"
_drawn: list[str] = []  # of the cell that runs


def draw(hierarchy: LatentHierarchy, masked: Iterable[Hashable], shared: SharedInformation | None = None) -> None:
    """Show a hierarchy below the cell, its masked pixels crossed, coloured by what Theorem 1 makes of the mask.

    shared: what is to be shown; located by default. Raises ValueError for more than 100 nodes.
    """
    if (count := len(hierarchy.nodes)) > LARGEST:
        raise ValueError(f"{count} nodes are too many to be read: draw a hierarchy of at most {LARGEST}")
    masked = frozenset(masked)
    shared = shared or locate_shared_information(hierarchy, masked)
    _drawn.append(graph_svg(hierarchy, masked, shared) + set_list(hierarchy, shared))


def run(code: str) -> str:
    """What a program shows: its text, its drawings, and the one line of its error, if it makes one."""
    _drawn.clear()
    error = ""
    with redirect_stdout(StringIO()) as text:
        try:
            exec(compile(code, _CELL, "exec"), {"__name__": "__main__"})
        except (Exception, SystemExit) as found:
            error = _line(found)
    said = f"<pre>{escape(text.getvalue())}</pre>" if text.getvalue() else ""
    wrong = f'<p class="wrong">{escape(error)}</p>' if error else ""
    return said + "".join(_drawn) + wrong


def _line(error: BaseException) -> str:
    """The error's name and message, and the line of the cell where it came up."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _CELL]
    where = f"line {lines[-1]}: " if lines else ""
    return where + "".join(traceback.format_exception_only(error)).strip()
