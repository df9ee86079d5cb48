"""The reference: what every module of a room says of itself, with the signature of what it offers, read from its text.

Nothing is imported, so that a reference needs none of the libraries that the room does.
"""

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from pathlib import Path

import mae_lib
from maebook.sphinx.source_pages import prose

_PACKAGE = Path(mae_lib.__file__).resolve().parent
Function = ast.FunctionDef | ast.AsyncFunctionDef
_WIDTH = 76  # characters of code that a box holds beside both sidebars, 1280 pixels wide


def rooms() -> list[str]:
    """The packages of the library, by name."""
    return sorted(path.parent.name for path in _PACKAGE.glob("*/__init__.py"))


def reference(room: str) -> str:
    """A room's modules in MyST, with all that is public and documented. Raises ValueError for another name."""
    if room not in rooms():
        raise ValueError(f"{room!r} is no room of the library: choose among {', '.join(rooms())}")
    opening = _docstring(ast.parse((_PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))
    files = sorted(path for path in (_PACKAGE / room).rglob("*.py") if path.name != "__init__.py")
    return "\n\n".join([opening, *(_module(path) for path in files)])


def _module(path: Path) -> str:
    name = ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)
    tree = _parsed(path.read_text(encoding="utf-8"))
    parts = [_definition(node) for node in tree.body if isinstance(node, Function | ast.ClassDef) and _shown(node)]
    return "\n\n".join([f"## `{name}`", _docstring(tree), *parts])


def _parsed(text: str) -> ast.Module:
    """The tree of a module, in which each field of a class holds the comment on its line."""
    tree, tokens = ast.parse(text), tokenize.generate_tokens(io.StringIO(text).readline)
    said = {token.start[0]: token.string[1:].strip() for token in tokens if token.type == tokenize.COMMENT}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.comment = said.get(node.end_lineno, "")
    return tree


def _shown(node: Function | ast.ClassDef) -> bool:
    return not node.name.startswith("_") and ast.get_docstring(node) is not None


def _definition(node: Function | ast.ClassDef) -> str:
    """A heading, the signature, what is said of it, and of a class its public methods."""
    parts = [f"### `{node.name}`", _code(_signature(node)), _docstring(node)]
    if isinstance(node, ast.ClassDef):
        methods = (item for item in node.body if isinstance(item, Function) and _shown(item))
        parts += [f"{_code(_signature(method))}\n\n{_docstring(method)}" for method in methods]
    return "\n\n".join(parts)


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _signature(node: Function | ast.ClassDef, width: int = _WIDTH) -> str:
    """As in the source, without its body: a class with its fields, or the arguments of its __init__."""
    _unquote(node)
    decorators = [f"@{ast.unparse(one)}" for one in node.decorator_list]
    if isinstance(node, ast.ClassDef):
        bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
        fields = [*_fields(node)]
        return "\n".join([*decorators, f"class {node.name}{bases}{':' if fields else ''}", *fields])
    arguments = [_argument(one) for one in _arguments(node.args)]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"def {node.name}({', '.join(arguments)}){returns}"
    if len(line) > width:
        line = f"def {node.name}(\n    " + ",\n    ".join(arguments) + f",\n){returns}"
    return "\n".join([*decorators, line])


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and not ast.unparse(item.target).startswith("_"):
            line, said = f"    {ast.unparse(item)}", getattr(item, "comment", "")
            if said and len(f"{line}  # {said}") <= _WIDTH:
                yield f"{line}  # {said}"
                continue
            yield from (f"    # {part}" for part in textwrap.wrap(said, _WIDTH - 6))
            yield line if len(line) <= _WIDTH else line.replace(" = ", " = \\\n        ", 1)
        elif isinstance(item, ast.FunctionDef) and item.name == "__init__":
            yield from (f"    {line}" for line in _signature(item, _WIDTH - 4).splitlines())


def _unquote(node: ast.AST) -> None:
    """Take the quotation marks off types that are written as text."""
    for one in ast.walk(node):
        for name in ("annotation", "returns"):
            if found := getattr(one, name, None):
                setattr(one, name, _Unquoted().visit(found))


class _Unquoted(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        return node if ast.unparse(node.value) == "Literal" else self.generic_visit(node)  # its texts are values


def _arguments(of: ast.arguments) -> Iterator[tuple[str, ast.arg | None, ast.expr | None]]:
    """(mark, argument, default) in order; a lone / or * has no argument."""
    plain = [*of.posonlyargs, *of.args]
    defaults = [None] * (len(plain) - len(of.defaults)) + of.defaults
    for number, (argument, default) in enumerate(zip(plain, defaults, strict=True), 1):
        yield "", argument, default
        if of.posonlyargs and number == len(of.posonlyargs):
            yield "/", None, None
    if of.vararg or of.kwonlyargs:
        yield "*", of.vararg, None
    yield from (("", argument, default) for argument, default in zip(of.kwonlyargs, of.kw_defaults, strict=True))
    if of.kwarg:
        yield "**", of.kwarg, None


def _argument(one: tuple[str, ast.arg | None, ast.expr | None]) -> str:
    mark, argument, default = one
    text = mark + (ast.unparse(argument) if argument else "")
    if default is None:
        return text
    return f"{text} = {ast.unparse(default)}" if argument.annotation else f"{text}={ast.unparse(default)}"


def _docstring(node: ast.AST) -> str:
    """A docstring as MyST; a line that begins like a heading, a list or a quotation is text, and so is a comment."""
    text = prose(ast.get_docstring(node) or "").replace("<!--", "<\\!--")
    return re.sub(r"(?m)^( {0,3})([#>+-]|:{3,})(?=\s|$)", r"\1\\\2", text)
