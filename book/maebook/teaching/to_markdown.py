"""MyST Markdown as the plain Markdown that any notebook program renders: boxes, links and citations without Sphinx."""

import re
from functools import cache
from pathlib import Path

from mae_lib.folders import checkout
from maebook.teaching.directives import Directive, pieces

_TITLES = {
    "exercise": "Exercise",
    "solution": "Solution",
    "prf:theorem": "Theorem",
    "prf:proposition": "Proposition",
    "prf:assumption": "Assumption",
    "prf:algorithm": "Algorithm",
    "prf:lemma": "Lemma",
    "prf:definition": "Definition",
}
_ROLE = re.compile(r"\{(?P<role>[a-z:]+)\}(?P<ticks>`+)(?P<text>.+?)(?P=ticks)", re.S)
_TITLED = re.compile(r"^(?P<title>.+?)\s*<(?P<target>[^>]+)>$", re.S)
_TARGET = re.compile(r"^\([\w:.-]+\)=\n", re.M)
_EQUATION = re.compile(r"\$\$[ \t]*\(([\w:.-]+)\)[ \t]*$", re.M)


@cache
def _references() -> dict[str, tuple[str, str]]:
    """Key -> (authors, year) of the book's bibliography; empty where the book's sources are absent."""
    from pybtex.database import parse_file
    from pybtex.richtext import Text

    file = (checkout() or Path.cwd()) / "book" / "references.bib"
    if not file.is_file():
        return {}
    found = {}
    for key, entry in parse_file(str(file)).entries.items():
        people = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons.get("author", [])]
        names = [str(Text.from_latex(name)) for name in people]
        found[key] = (f"{names[0]} et al." if len(names) > 2 else " and ".join(names), entry.fields.get("year", ""))
    return found


def _cite(keys: str, textual: bool) -> str:
    known = _references()
    said = [known.get(key.strip(), (key.strip(), "")) for key in keys.split(",")]
    if textual:
        return ", ".join(f"{who} ({year})" if year else who for who, year in said)
    return "(" + "; ".join(f"{who}, {year}" if year else who for who, year in said) + ")"


def _link(text: str, titles: dict[str, str]) -> str:
    titled = _TITLED.match(text)
    target = titled["target"] if titled else text
    stem = target.rsplit("/", 1)[-1]
    title = titled["title"] if titled else titles.get(stem, stem)
    return f"[{title}]({stem}.ipynb)" if stem in titles else f"*{title}*"


def _role(match: re.Match, titles: dict[str, str]) -> str:
    role, text = match["role"], match["text"]
    if role.startswith("cite"):
        return _cite(text, textual=role == "cite:t")
    if role == "doc":
        return _link(text, titles)
    if role == "math":
        return f"${text}$"
    if role == "eq":
        return f"({text.removeprefix('eq-')})"
    titled = _TITLED.match(text)
    return titled["title"] if titled else text.replace("-", " ").removesuffix(" page")


def quoted(text: str) -> str:
    """A Markdown quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def folded(title: str, body: str) -> str:
    """A box that opens by a click."""
    return f"<details>\n<summary><b>{title}</b></summary>\n\n{body}\n\n</details>"


def _box(directive: Directive, titles: dict[str, str], fold: bool) -> str:
    body = plain(directive.body, titles, fold)
    if directive.name == "solution":
        return folded("Solution", body) if fold else quoted(f"**Solution**\n\n{body}")
    if directive.name == "dropdown":
        return folded(_inline(directive.argument, titles), body)
    kind = _TITLES.get(directive.name)
    title = " · ".join(part for part in (kind, _inline(directive.argument, titles)) if part)
    text = f"**{title}**\n\n{body}" if title else body
    return text if directive.name == "exercise" else quoted(text)


def _inline(text: str, titles: dict[str, str]) -> str:
    text = _TARGET.sub("", text)
    text = _EQUATION.sub(lambda match: f"\\tag{{{match[1].removeprefix('eq-')}}} $$", text)
    return _ROLE.sub(lambda match: _role(match, titles), text)


def plain(text: str, titles: dict[str, str] | None = None, fold: bool = True) -> str:
    """`text` without MyST: directives become boxes, roles links, citations names.

    `titles`: page -> title, for links between the notebooks of one folder; other pages are named, not linked.
    `fold`: solutions are folded, else they stand open.
    """
    titles = titles or {}
    parts = [_inline(p, titles) if isinstance(p, str) else _box(p, titles, fold) for p in pieces(text)]
    return "\n\n".join(parts)
