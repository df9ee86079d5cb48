"""Words that the book does not use: plain, direct English, one meaning a word. A file is added when it obeys."""

import ast
import json
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COVERED = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md", "mae_lib/training/README.md"),
    *("book/maebook/sphinx/front.py", "book/maebook/sphinx/hero.py", "book/maebook/sphinx/discoveries.py"),
    "book/maebook/scrubber.py",
    *(
        str(p.relative_to(ROOT))
        for folder in ("book", "notebooks")
        for p in sorted((ROOT / folder).glob("*.[mi][dp]*"))
    ),
]
REFUSED = {  # pattern -> what to say instead
    r"\breaders?\b": "baseline, encoder, run, or you",
    r"\bwho(ever)? wears\b|\bwears?\b|\bdressed\b": "has",
    r"\b(is|are|be) told (apart|from)\b": "differs, or can be distinguished",
    r"\bcan(not)? be had\b|\bto be had\b|\bhad again\b": "say who can do what",
    r"\bis none\b": "is not a result",
    r"\bmakes itself\b": "`make` creates it",
    r"\bneeds nothing that\b": "No plotting library is needed",
    r"\bwithout training say\b|\bsay what a score is worth\b": "baselines put the scores in context",
    r"\bthat belongs? to it\b": "each mask has exactly one",
    r"\bLimit[:,] \d": "Tolerance: 5% of the variance unexplained",
    r"\bone can\b|\bwhat a mask \*?buys\b": "state the result",
}


def prose(path: Path) -> str:
    """What people read in a file: all Markdown, a notebook's Markdown and strings, a module's strings and comments."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return "\n".join(
            "".join(cell["source"]) if cell["cell_type"] == "markdown" else _strings("".join(cell["source"]))
            for cell in cells
        )
    with path.open("rb") as file:
        comments = [token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    return "\n".join([*comments, _strings(path.read_text(encoding="utf-8"))])


def _strings(source: str) -> str:
    nodes = ast.walk(ast.parse(source))
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def refused(text: str) -> list[str]:
    """Each refused word of a text with what to say instead."""
    text = " ".join(re.sub(r"(?<!`)`[^`\n]+`(?!`)", "", text).split())  # what stands in code is a name
    return [
        f"{found[0]!r}: {better}"
        for pattern, better in REFUSED.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("name", COVERED)
def test_no_refused_word(name):
    assert not refused(prose(ROOT / name))


AWKWARD = [
    "One pretraining by one command, which needs nothing that draws",
    "the environment makes itself",
    "Three readers without training say what a score is worth",
    "The minimal c and the s_m that belongs to it are unique for a mask",
    "Limit: 5% of the variance",
    "A result that cannot be had again is none",
    "With labels for every level one can see *what* a mask buys",
]


@pytest.mark.parametrize("sentence", AWKWARD)
def test_sentences_that_were_awkward_are_refused(sentence):
    assert refused(sentence)


def test_a_word_is_found_in_every_kind_of_file(tmp_path):
    said = "Three readers."
    cell = {"cell_type": "code", "source": [f"print({said!r})"]}
    modules = {"a.py": f"# {said}\nreader = 1\n", "b.py": f'"""{said}"""\n'}
    texts = {"a.md": said, **modules, "a.ipynb": json.dumps({"cells": [cell]})}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert refused(prose(tmp_path / name)) == ["'readers': baseline, encoder, run, or you"], name
    assert not refused("readership")
