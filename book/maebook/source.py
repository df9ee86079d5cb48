"""Source beside prose: the book's code is the library's, shown as it stands."""

import ast
import textwrap
from collections.abc import Callable

from IPython.display import Markdown, display

from mae_lib.sources import module_file


def show_source(*objects: Callable | str) -> None:
    """Display the source of functions or classes as Python, each under the module that it stands in.

    It is read from the file: one that is only named, "mae_lib.training.mae:MAE.encode", is not imported. Raises
    ValueError where a module has no such name.
    """
    for thing in objects:
        name = thing if isinstance(thing, str) else f"{thing.__module__}:{thing.__qualname__}"
        module, path = name.split(":")
        code = textwrap.dedent(_source(module_file(module).read_text(encoding="utf-8"), path))
        display(Markdown(f"*`{module}`*\n\n```python\n{code}\n```"))


def _source(text: str, path: str) -> str:
    """The lines of a function or class, "MAE.encode", in a module's text."""
    node: ast.AST = ast.parse(text)
    for step in path.split("."):
        inside = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef | ast.ClassDef)}
        if step not in inside:
            raise ValueError(f"there is no {path!r} to show: choose among {', '.join(inside)}")
        node = inside[step]
    first = min(part.lineno for part in (node, *node.decorator_list))
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
