"""How to cite the book and the paper that it reproduces: BibTeX made of CITATION.cff."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from maebook.sphinx.executed import Page


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = ",\n".join(f"  {name:9} = {{{value}}}" for name, value in fields.items() if value)
    return f"```bibtex\n@{kind}{{{key},\n{lines}\n}}\n```"


def _authors(people: list[Mapping[str, str]]) -> str:
    """People as "Family, Given", groups in braces of their own."""
    names = [
        f"{one['family-names']}, {one['given-names']}" if "family-names" in one else f"{{{one['name']}}}"
        for one in people
    ]
    return " and ".join(names)


def citation(folder: Path, pages: Mapping[str, Page]) -> str:
    """Both entries, of the book and of the paper, to copy."""
    cited: Mapping[str, Any] = yaml.safe_load((folder.parent / "CITATION.cff").read_text(encoding="utf-8"))
    paper = cited["preferred-citation"]
    book = {"title": cited["title"], "author": _authors(cited["authors"]), "year": cited["date-released"][:4]}
    book |= {"version": cited["version"], "url": cited.get("repository-code", "")}
    original = {"title": paper["title"], "author": _authors(paper["authors"]), "booktitle": paper["collection-title"]}
    original |= {"year": str(paper["year"]), "doi": paper["doi"], "url": paper["url"]}
    return "\n\n".join(
        [
            "## The book",
            _entry("software", "mae_book", book),
            "## The paper",
            _entry("inproceedings", "kong2023", original),
        ]
    )
