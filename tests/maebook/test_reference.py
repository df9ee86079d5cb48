"""The reference: all that is public and documented, with the signature that Python itself gives."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from mae_lib.theory import hierarchy, shared_information
from maebook.sphinx.reference import _WIDTH, _signature, reference, rooms
from maebook.sphinx.source_pages import prose

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
    for line in ("def f(a: int, /, b=1, *c: str, d: int = 2, **e) -> int", "def f(a, *, b: int = 3)"):
        node = ast.parse(f"{line}: ...").body[0]
        assert ast.dump(ast.parse(f"{_signature(node)}: ...")) == ast.dump(ast.parse(f"{line}: ..."))


def test_types_have_no_quotation_marks_and_values_keep_theirs():
    source = "def f(a: 'A | None', b: Literal['x'] = 'x') -> list['A']: ..."
    shown = "def f(a: A | None, b: Literal['x'] = 'x') -> list[A]"
    assert _signature(ast.parse(source).body[0]) == shown


def test_a_class_without_fields_has_no_colon():
    classes = ast.parse("class A(B):\n    x: 'C' = 1\nclass A(B): ...").body
    assert [_signature(one) for one in classes] == ["class A(B):\n    x: C = 1", "class A(B)"]


def test_words_are_stressed_together_and_products_are_not():
    assert prose("*not run*, a *word*, 2 * 3 * 4") == "*not run*, a *word*, 2 \\* 3 \\* 4"


@pytest.mark.parametrize("room", rooms())
def test_code_fits_its_box(room):
    code = re.findall(r"```python\n(.*?)```|(?<=\n\n)((?: {4}[^\n]*\n)+)", reference(room), re.DOTALL)
    lines = [line for block, example in code for line in (block or textwrap.dedent(example)).splitlines()]
    assert lines and not [line for line in lines if len(line) > _WIDTH]


def test_another_room_is_refused():
    with pytest.raises(ValueError, match="'attic' is no room of the library: choose among claims"):
        reference("attic")
