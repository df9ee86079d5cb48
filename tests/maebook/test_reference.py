"""The reference: all that is public and documented, with the signature that Python itself gives."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from mae_lib.theory import hierarchy, shared_information
from maebook.sphinx.reference import reference, rooms

ROOT = Path(__file__).resolve().parents[2]


def test_every_room_has_its_page_and_every_page_is_in_the_contents():
    files = set(re.findall(r"- file: (\S+)", (ROOT / "book" / "_toc.yml").read_text()))
    pages = {path.stem: path.read_text() for path in (ROOT / "book").glob("reference_*.md")}
    assert set(pages) == {f"reference_{room}" for room in rooms()} <= files
    assert all(f"<!-- made: reference {name.removeprefix('reference_')} -->" in text for name, text in pages.items())


@pytest.mark.parametrize("room", rooms())
def test_all_that_is_public_and_documented_stands_there_once(room):
    text = reference(room)
    for path in (ROOT / "mae_lib" / room).rglob("*.py"):
        if path.name == "__init__.py":
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        part = text.partition(f"## `{module}`\n")[2].partition("\n## ")[0]
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                public = not node.name.startswith("_") and ast.get_docstring(node) is not None
                assert part.count(f"### `{node.name}`\n") == public, f"{module}.{node.name}"


def signatures(text: str) -> dict[str, ast.arguments]:
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    parsed = [ast.parse(block.strip() + ": ...").body[0] for block in blocks if "\ndef " in f"\n{block}"]
    return {node.name: node.args for node in parsed if isinstance(node, ast.FunctionDef)}


def test_signatures_are_pythons_own():
    found = signatures(reference("theory"))
    for thing in (shared_information.locate_shared_information_batch, hierarchy.LatentHierarchy.quadtree.__func__):
        arguments = found[thing.__name__]
        assert [one.arg for one in arguments.args] == list(inspect.signature(thing).parameters)


def test_marks_and_defaults_of_arguments_are_kept():
    from maebook.sphinx import reference as module

    for line in ("def f(a: int, /, b=1, *c: str, d: int = 2, **e) -> int", "def f(a, *, b: int = 3)"):
        node = ast.parse(f"{line}: ...").body[0]
        assert ast.dump(ast.parse(f"{module._signature(node)}: ...")) == ast.dump(ast.parse(f"{line}: ..."))


def test_another_room_is_refused():
    with pytest.raises(ValueError, match="'attic' is no room of the library: choose among claims"):
        reference("attic")
