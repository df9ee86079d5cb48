"""Which source files a module of `mae_lib`, or of `maebook` beside it, uses, and their hash for a run's provenance.

Imports are read from the text (ast), so nothing is executed, and a call takes milliseconds.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
_PARENTS = {"mae_lib": _CHECKOUT, "maebook": _CHECKOUT / "book"}


def module_file(module: str) -> Path | None:
    """The file of `mae_lib.x.y`, or None when the name is not a module of a package here (a function, say)."""
    package, *steps = module.split(".")
    base = _PARENTS[package].joinpath(package, *steps) if package in _PARENTS else _CHECKOUT / "none"
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _package_imports(tree: ast.AST) -> set[str]:
    """Names below the packages that the code imports, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in _PARENTS}


def _loaded(names: set[str]) -> set[Path]:
    """Files executed when `names` are imported: each module and its parent packages."""
    lines = (name.split(".") for name in names)
    return {path for steps in lines for n in range(1, len(steps) + 1) if (path := module_file(".".join(steps[:n])))}


@cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(_loaded(_package_imports(ast.parse(path.read_text()))))


def _closure(start: set[Path]) -> list[Path]:
    found, queue = set(start), list(start)
    while queue:
        new = _imports(queue.pop()) - found
        found |= new
        queue.extend(new)
    return sorted(found)


def source_files(*modules: str) -> list[Path]:
    """The source files of `modules` ("mae_lib.training.pretrain") and of all package modules that they import, sorted.

    Raises ModuleNotFoundError for a name that is not a module of the package.
    """
    for name in modules:
        if module_file(name) is None:
            raise ModuleNotFoundError(f"{name} is not a module of {' or '.join(_PARENTS)}")
    return _closure(_loaded(set(modules)))


def modules_of_code(code: str) -> list[str]:
    """Modules of the packages that Python code, such as a notebook's cells, imports, or names as "mae_lib.x:function"
    to show their source; sorted.
    """
    tree = ast.parse(code)
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    named = {text.split(":")[0] for text in texts if ":" in text}
    return sorted(filter(module_file, _package_imports(tree) | named))


def source_hash(*modules: str, without: str | None = None) -> str:
    """Sixteen hexadecimal digits that change with any byte of any file in `source_files(*modules)`.

    `without` names a subpackage ("theory") to leave out: its code is imported but cannot change the result.
    """
    digest = hashlib.sha256()
    for path in source_files(*modules):
        if without and path.is_relative_to(_CHECKOUT / "mae_lib" / without):
            continue
        digest.update(f"{path.relative_to(_CHECKOUT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
