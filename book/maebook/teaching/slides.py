"""Slides of the lectures: thin HTML made of tagged cells of executed notebooks, offline, by keys or on paper.

`book/teaching/lectures.yml` lists each lecture's slides in order: text of its own, cells of a notebook, or both. A cell
is on a slide when it has the lecture's tag, `slideshow.slide_type` as nbconvert knows it, and the slide's name in its
metadata: `{"tags": ["lecture-1"], "slideshow": {"slide_type": "slide"}, "slide": "figure-4"}`. So figures and numbers
on a slide are those of the run. A figure of stacked plots that is too tall to be read from a seat becomes a slide for
each plot. Left and right go through them, N shows the notes, S the presenter's view, P prints.
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from maebook.teaching.exercises import notebooks, read, tags
from maebook.teaching.guide import GuideError, teaching_folder
from maebook.teaching.slides_page import INDEX, PAGE, PRESENTER, SCRIPT, STYLE
from maebook.teaching.to_markdown import plain

_FIELDS = {"title", "text", "cells", "notes"}
_OF_THE_BOOK = ("mae.css", "scrubber.js")
_LECTURE = {"title", "about", "minutes", "slides"}


@dataclass(frozen=True)
class Slide:
    """A slide: its title, Markdown of its own, the name that its cells carry, and notes for whoever speaks."""

    title: str
    text: str = ""
    cells: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Lecture:
    """A lecture: the tag of its cells, what it is called and about, how long it takes, and its slides in order."""

    tag: str
    title: str
    about: str
    minutes: int
    slides: tuple[Slide, ...]


def lectures(folder: Path | None = None) -> list[Lecture]:
    """The lectures of `book/teaching/lectures.yml`. Raises GuideError, naming lecture and slide."""
    path = (folder or teaching_folder()) / "lectures.yml"
    found = []
    for tag, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        if set(entry) != _LECTURE:
            raise GuideError(f"{path}: {tag} needs exactly {', '.join(sorted(_LECTURE))}")
        for number, slide in enumerate(entry["slides"], 1):
            if "title" not in slide or not set(slide) <= _FIELDS or not {"text", "cells"} & set(slide):
                raise GuideError(f"{path}: slide {number} of {tag} needs `title`, and `text` or `cells` or both")
        slides = tuple(Slide(**slide) for slide in entry["slides"])
        found.append(Lecture(tag, entry["title"], entry["about"], entry["minutes"], slides))
    return found


def tagged(book: NotebookNode, lecture: str) -> Iterator[tuple[str, NotebookNode]]:
    """The cells of a lecture with the names of their slides. Raises GuideError for a tagged cell without one."""
    for number, cell in enumerate(book.cells):
        if lecture in tags(cell):
            kind = cell.metadata.get("slideshow", {}).get("slide_type")
            if kind not in ("slide", "subslide", "fragment", "-") or not cell.metadata.get("slide"):
                raise GuideError(
                    f"cell {number} is tagged {lecture}, and lacks its `slide` or its `slideshow.slide_type`"
                )
            yield cell.metadata["slide"], cell


def lecture_notebooks(names: Sequence[str] = ()) -> list[str]:
    """The notebooks that some lecture takes cells from; of the lectures `names`, or of all."""
    wanted = set(names or (lecture.tag for lecture in lectures()))
    return [path.stem for path in notebooks() if any(wanted & set(tags(cell)) for cell in read(path).cells)]


def _math(content: str, options: Mapping[str, Any]) -> str:
    left, right = (r"\[", r"\]") if options.get("display_mode") else (r"\(", r"\)")
    return f"{left}{escape(content)}{right}"


_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
_MARKDOWN.use(dollarmath_plugin, renderer=_math, allow_labels=True).use(amsmath_plugin)


def rendered(markdown: str) -> str:
    """Markdown, MyST's directives included, as HTML; formulas are left to MathJax."""
    return _MARKDOWN.render(plain(re.sub(r"^#+ .*$", "", markdown, flags=re.M)))


def shown(cell: NotebookNode) -> str:
    """What a cell puts on a slide, as HTML: a Markdown cell its text without headings, a code cell its first output."""
    if cell.cell_type == "markdown":
        return rendered(cell.source)
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "text/html" in data:
            return data["text/html"]
        if "text/markdown" in data:
            return rendered(data["text/markdown"])
        if "image/png" in data:
            return f'<img alt="" src="data:image/png;base64,{data["image/png"]}">'
        if "text/plain" in data or output.get("name") == "stdout":
            return f"<pre>{escape(data.get('text/plain') or output.text)}</pre>"
    return ""


_STACKED = re.compile(
    r'<svg data-mae-rows="(?P<rows>[^"]+)" (?:data-mae-foot="(?P<foot>[^"]+)" )?'
    r'viewBox="0 0 (?P<width>\S+) (?P<height>[^"]+)"(?P<about>[^>]*)>(?P<drawn>.*?)</svg>',
    re.S,
)
_TALLEST = 275  # points of a figure whose letters, 9 points, are 16 pixels on a slide


def apart(html: str) -> list[str]:
    """A cell's HTML once for each row of its figure, where that is too tall for a slide; else as it is."""
    found = _STACKED.search(html)
    if not found or float(found["height"]) <= _TALLEST:
        return [html]
    tops = [*map(float, found["rows"].split()), float(found["height"])]
    bands = [[span] for span in pairwise(tops)]
    for band in bands[:-1] if found["foot"] else ():
        band.append((float(found["foot"]), tops[-1]))
    return [
        html[: found.start()] + _bands(found, band, number) + html[found.end() :] for number, band in enumerate(bands)
    ]


def _bands(figure: re.Match, spans: Sequence[tuple[float, float]], number: int) -> str:
    """Horizontal bands of a drawing, one below the other; ids are their own."""
    parts, at = [], 0.0
    for part, (top, low) in enumerate(spans):
        drawn = re.sub(r"\b(fig[0-9a-f]{10})-", rf"\1-{number}-{part}-", figure["drawn"])
        box = f'y="{at:.1f}" width="{figure["width"]}" height="{low - top:.1f}"'
        box += ' style="overflow: hidden"'
        parts.append(f'<svg {box} viewBox="0 {top:.1f} {figure["width"]} {low - top:.1f}">{drawn}</svg>')
        at += low - top
    return f'<svg viewBox="0 0 {figure["width"]} {at:.1f}"{figure["about"]}>{"".join(parts)}</svg>'


def _bodies(cells: Sequence[NotebookNode]) -> list[str]:
    """What the cells of a slide show, once for each slide that it takes."""
    rows = [apart(shown(cell)) for cell in cells]
    most = max(map(len, rows), default=1)
    return ["\n".join(some[min(number, len(some) - 1)] for some in rows) for number in range(most)]


def _section(slide: Slide, body: str, number: int, of: int) -> str:
    text = f'<div class="text">{rendered(slide.text)}</div>' if slide.text else ""
    figure = f'<div class="show" tabindex="0">{body}</div>' if body else ""
    notes = f'<aside class="notes">{rendered(slide.notes)}</aside>' if slide.notes else ""
    both = " both" if text and figure else ""
    return (
        f'<section class="slide{both}" id="{number}" aria-roledescription="slide" aria-label="{number} of {of}">'
        f'<h2>{_MARKDOWN.renderInline(slide.title)}</h2><div class="body">{text}{figure}</div>{notes}'
        f"<footer>{number} / {of}</footer></section>"
    )


def slides_html(lecture: Lecture, books: Mapping[str, NotebookNode], css: str = "", scripts: str = "") -> str:
    """One lecture as a page. `books`: executed notebooks by name; `css` and `scripts`: what the book's figures need.

    Raises GuideError for a slide whose cells are missing or show nothing, and for a tagged cell that no slide takes.
    """
    cells: dict[str, list[NotebookNode]] = {}
    for name, book in books.items():
        try:
            for slide, cell in tagged(book, lecture.tag):
                cells.setdefault(slide, []).append(cell)
        except GuideError as error:
            raise GuideError(f"{name}: {error}") from None
    wanted = {slide.cells for slide in lecture.slides if slide.cells}
    if missing := wanted - set(cells):
        raise GuideError(f"{lecture.tag}: no cell is tagged for the slide {sorted(missing)[0]!r}")
    if unused := set(cells) - wanted:
        raise GuideError(f"{lecture.tag}: cells are tagged for {sorted(unused)[0]!r}, which is no slide of it")
    for name, found in cells.items():
        if not any(shown(cell).strip() for cell in found):
            raise GuideError(f"{lecture.tag}: the cells of {name!r} show nothing: give notebooks that were executed")
    first = Slide(lecture.title, lecture.about, notes=f"About {lecture.minutes} minutes.")
    given = [(slide, body) for slide in (first, *lecture.slides) for body in _bodies(cells.get(slide.cells, []))]
    sections = [_section(slide, body, number, len(given)) for number, (slide, body) in enumerate(given, 1)]
    about = {"title": escape(lecture.title), "minutes": lecture.minutes, "style": css + STYLE}
    return PAGE.format(**about, slides="\n".join(sections), script=SCRIPT + scripts, presenter=PRESENTER)


def write_slides(out: Path, executed: Path) -> list[Path]:
    """Write `lecture-1.html` and so on, and an index, into `out`; needs no network to be shown.

    `executed`: the folder of executed notebooks. Raises GuideError when one is not there, or as `slides_html` does.
    """
    books = {}
    for name in lecture_notebooks():
        if not (path := executed / f"{name}.ipynb").is_file():
            raise GuideError(f"{path} does not exist: run `make slides`, which executes it first")
        books[name] = read(path)
    css, scripts = ((teaching_folder().parent / "_static" / name).read_text("utf-8") for name in _OF_THE_BOOK)
    pages = {lecture: slides_html(lecture, books, css, scripts) for lecture in lectures()}
    out.mkdir(parents=True, exist_ok=True)
    static = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    shutil.copyfile(static / "tex-svg-full.js", out / "mathjax.js")
    written = []
    for lecture, html in pages.items():
        written.append(out / f"{lecture.tag}.html")
        written[-1].write_text(html, encoding="utf-8")
    links = "".join(
        f'<li><a href="{tag}.html">{escape(title)}</a>, about {minutes} minutes</li>'
        for tag, title, minutes in ((one.tag, one.title, one.minutes) for one in pages)
    )
    (out / "index.html").write_text(INDEX.format(style=STYLE, links=links), encoding="utf-8")
    return [out / "index.html", *written]
