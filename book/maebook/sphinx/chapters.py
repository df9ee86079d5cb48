"""What builds on what: a map of the chapters, drawn from what each says that it needs.

Nothing of it is written twice. A chapter's box "Before you start" names the pages that it needs, and these are the
arrows; one that follows from others is left out. Columns and places come from the graph alone.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path

import networkx as nx

from maebook.sphinx.executed import Page
from maebook.teaching.exercises import notebooks, read

_NEEDS = re.compile(r"^\*\*You need\*\*(.*)$", re.MULTILINE)
_LINK = re.compile(r"\{(?:doc|ref)\}`(?:[^`<]*<)?([\w-]+)>?`")
_LABEL = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)
_TITLE = re.compile(r"^# (.*)$", re.MULTILINE)
_WIDE, _HIGH, _APART, _BELOW, _LINE, _LETTERS = 128, 70, 32, 12, 14, 18  # pixels; characters in a line of a box


def chapter_graph(root: Path) -> nx.DiGraph:
    """An edge from each chapter to those that need it; nodes in the order of the contents, each with its `title`.

    Raises ValueError for a box that names a page that is no chapter, or for chapters that need each other.
    """
    opening = {path.stem: read(path).cells[0].source for path in notebooks(root)}
    named = {label: name for name, text in opening.items() for label in _LABEL.findall(text)}
    titles = {name: _TITLE.search(text)[1].partition(": ") for name, text in opening.items()}
    heads = Counter(head for head, _, _ in titles.values())
    graph = nx.DiGraph()
    for name, (head, _, rest) in titles.items():  # the head of a title, unless pages share it
        graph.add_node(name, title=head if heads[head] == 1 else f"{head.split(' · ')[0]} · {rest}")
    for name, text in opening.items():
        box = _NEEDS.search(text)
        for needed in _LINK.findall(box[1] if box else ""):
            if (needed := named.get(needed, needed)) not in opening:
                raise ValueError(f"{name} needs {needed!r}, which is no chapter")
            graph.add_edge(needed, name)
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError(f"chapters need each other: {nx.find_cycle(graph)}")
    return graph


def places(graph: nx.DiGraph) -> dict[str, tuple[int, float]]:
    """Column and row of each chapter: right of all that it needs, and as near to their middle as the others let it.

    One that needs nothing stands next to what needs it, or its arrow would run behind all in between.
    """
    columns = list(nx.topological_generations(graph))
    place = {name: x for x, column in enumerate(columns) for name in column}
    for name in list(columns[0]):
        if after := min((place[later] for later in graph.successors(name)), default=1) - 1:
            columns[0].remove(name)
            columns[after].append(name)
    order = {name: number for number, name in enumerate(graph)}
    tallest, rows = max(map(len, columns)), {}

    def wanted(name: str) -> tuple[float, int]:
        above = [rows[needed] for needed in graph.predecessors(name)]
        return sum(above) / len(above) if above else order[name], order[name]

    for column in columns:
        first = (tallest - len(column)) / 2
        rows |= {name: first + y for y, name in enumerate(sorted(column, key=wanted))}
    return {name: (x, rows[name]) for x, column in enumerate(columns) for name in column}


def chapter_map(folder: Path, pages: Mapping[str, Page]) -> str:
    """The map as a drawing whose boxes are links."""
    graph = chapter_graph(folder.parent)
    shown = nx.transitive_reduction(graph)
    at = {name: (x * (_WIDE + _APART) + 2, y * (_HIGH + _BELOW) + 2) for name, (x, y) in places(graph).items()}
    arrows = "".join(_arrow(at[needed], at[name]) for needed, name in sorted(shown.edges))
    boxes = "".join(_box(at[name], name, title) for name, title in graph.nodes(data="title"))
    wide, high = (max(point[i] for point in at.values()) + size + 2 for i, size in enumerate((_WIDE, _HIGH)))
    said = f"A map of {len(graph)} chapters. Arrows run from left to right, from a chapter to those that need it."
    return (
        f'<figure class="mae-chapters"><div class="mae-scroll" tabindex="0"><svg viewBox="0 0 {wide:g} {high:g}" '
        f'role="group" aria-label="{said}" style="min-width: {wide * 0.8:g}px">'
        '<defs><marker id="mae-arrow" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" '
        f'orient="auto"><path d="M0 0L6 3L0 6z"/></marker></defs>{arrows}{boxes}</svg></div></figure>'
    )


def _arrow(one: tuple[float, float], other: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = (one[0] + _WIDE, one[1] + _HIGH / 2), (other[0] - 1, other[1] + _HIGH / 2)
    bend = _APART * 0.6
    curve = f"M{x0:g} {y0:g}C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
    return f'<path class="edge" d="{curve}" marker-end="url(#mae-arrow)"/>'


def _box(point: tuple[float, float], name: str, title: str) -> str:
    x, y = point
    lines = textwrap.wrap(title, _LETTERS, max_lines=4, placeholder=" …")
    top = y + _HIGH / 2 - (len(lines) - 1) * _LINE / 2
    text = "".join(
        f'<tspan x="{x + _WIDE / 2:g}" y="{top + i * _LINE:g}">{escape(line)}</tspan>' for i, line in enumerate(lines)
    )
    return (
        f'<a href="experiments/{name}.html" aria-label="{escape(title)}"><rect x="{x:g}" y="{y:g}" width="{_WIDE}" '
        f'height="{_HIGH}" rx="6"/><text>{text}</text></a>'
    )
