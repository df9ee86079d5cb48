"""Source beside prose: the library's own docstrings and comments on the left, the code that they speak of on the right.

Nothing is written twice: what a page says of a function is what the function says of itself.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType

from maebook.sphinx.names import resolve


def beside(name: str, *only: str) -> str:
    """A module's functions and classes in MyST, in the order of the file; `only` names those to show, all by default.

    A step is a piece of prose and the code below it: a docstring with its signature, a comment with its lines.
    Raises ValueError for a module or a definition that does not exist.
    """
    module = resolve(name)
    if not isinstance(module, ModuleType):
        raise ValueError(f"{name} is not a module")
    text = inspect.getsource(module)
    definitions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    if unknown := sorted(set(only) - set(definitions)):
        raise ValueError(f"{name} defines no {unknown}: choose among {', '.join(definitions)}")
    blocks = [_step(prose(inspect.getdoc(module) or ""), "")]
    for each in only or definitions:
        blocks.append(f"## `{each}`")
        blocks += [_step(said, code) for said, code in _steps(definitions[each], text.splitlines())]
    return "\n\n".join(blocks)


def _steps(node: ast.FunctionDef | ast.ClassDef, lines: list[str]) -> Iterator[tuple[str, str]]:
    """Prose and code in turn: the head of a definition, then its body cut at comments, or a class's methods."""
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    head = "\n".join(lines[start - 1 : first.lineno - 1])
    said = prose(ast.get_docstring(node) or "")
    begin = (first.end_lineno if documented else first.lineno - 1) + 1
    if isinstance(node, ast.FunctionDef):
        pieces = list(_cut(lines[begin - 1 : node.end_lineno]))
        if pieces and not pieces[0][0]:  # the lines before the first comment belong to the docstring
            head = f"{head}\n{pieces.pop(0)[1]}"
        yield said, head
        yield from pieces
        return
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    fields_end = min((_first_line(item) for item in methods), default=node.end_lineno + 1)
    yield said, f"{head}\n" + "\n".join(lines[begin - 1 : fields_end - 1]).strip("\n")
    for method in methods:
        yield from _steps(method, lines)


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _cut(lines: list[str]) -> Iterator[tuple[str, str]]:
    """A body cut before every comment that stands alone: (comment, code); the first piece may have none."""
    comment: list[str] = []
    code: list[str] = []
    for line in lines:
        if line.lstrip().startswith("# "):
            if code:
                yield prose(" ".join(comment)), "\n".join(code)
                comment, code = [], []
            comment.append(line.strip().removeprefix("# "))
        else:
            code.append(line)
    yield prose(" ".join(comment)), "\n".join(code)


def prose(text: str) -> str:
    """A docstring as MyST: what would read as markup or math is escaped, and "->" becomes an arrow that does not break.

    Code stays, and so do words that are stressed and a list, whose items begin with "* ". A line "name: what it is"
    begins a paragraph.
    """
    text = re.sub(r"(?<=[.:;])\n(?=`?\w+`?(?:, `?\w+`?)*: )", "\n\n", text)
    pieces = re.split(
        r"(`[^`\n]+`|^\* |(?<![\w*])\*\w+(?: \w+)*\*(?![\w*])|(?<=\n\n)(?: {4}.*(?:\n|\Z))+)", text, flags=re.M
    )
    escaped = [
        piece if number % 2 else re.sub(r"(?<!\*)\*(?!\*)|[_<>\[\]$|{}]", r"\\\g<0>", piece.replace("->", "→"))
        for number, piece in enumerate(pieces)
    ]
    return "".join(escaped)


def _step(said: str, code: str) -> str:
    shown = f"\n```python\n{textwrap.dedent(code).strip(chr(10)).rstrip()}\n```\n" if code.strip() else ""
    kind = "mae-beside" if code.strip() else "mae-beside mae-opening"
    return f":::::{{div}} {kind}\n::::{{div}} mae-prose\n{said}\n::::\n{shown}:::::"
