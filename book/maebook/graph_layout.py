"""What a drawing of a hierarchy shows: where its nodes stand, how large, by which names, and how its edges run.

Two pens draw it: SVG, which a script changes, and matplotlib, beside other plots. Plain Python, for browsers too.
"""

import re
from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise, product
from math import hypot
from typing import NamedTuple

from mae_lib.theory import LatentHierarchy, SharedInformation

Point = tuple[float, float]
LARGEST = 100  # nodes; beyond that a picture of the book's width shows nothing
SETS = ("c", "split", "s_m", "s_mc")  # of Theorem 1, as `SharedInformation` has them
_ROOM_ACROSS, _ROOM_UP = 0.5, 0.34  # from a node's middle to where an edge may pass, in columns and levels


class Node(NamedTuple):
    """A node: `point` in columns and levels, `radius` and `font` in the pen's unit, the `state` one of SETS or ""."""

    point: Point
    radius: float
    name: tuple[str, str]  # letters and subscript
    font: float  # 0 where the name could not be read
    state: str
    latent: bool
    masked: bool


class Drawing(NamedTuple):
    """Its nodes in the order of the hierarchy, the bend of each edge in columns, and the width of a column."""

    nodes: dict[Hashable, Node]
    bends: dict[tuple[Hashable, Hashable], float]
    column: float


def arrange(
    hierarchy: LatentHierarchy,
    shared: SharedInformation | None = None,
    masked: Iterable[Hashable] = (),
    labels: Mapping[Hashable, str] | None = None,
    width: float = 360.0,
    radius: float = 16.0,
    font: float = 12.0,
) -> Drawing:
    """A drawing `width` wide, with nodes of at most `radius` and names of at most `font`, all in the pen's unit.

    Nodes carry their names, or what `labels` says of them. Raises ValueError for more than 100 nodes, or one masked
    that is no pixel.
    """
    masked, latents, place = set(masked), set(hierarchy.latents), layout(hierarchy)
    if len(place) > LARGEST:
        raise ValueError(f"{len(place)} nodes are too many to be read: draw a hierarchy of at most {LARGEST}")
    if unknown := masked - set(hierarchy.observables):
        raise ValueError(f"masked nodes {sorted(map(str, unknown))} are no observables of this hierarchy")
    across = [x for x, _ in place.values()]
    column = width / (max(across) - min(across) + 1.2)
    names = {v: letters((labels or {}).get(v, str(v))) for v in hierarchy.nodes}
    radii, fonts = {}, {}
    for level in {y for _, y in place.values()}:
        row = _row(place, level)
        gap = min((b - a for (a, _), (b, _) in pairwise(row)), default=9.0)
        radii[level] = min(radius, 0.44 * column * gap)
        room = 1.9 * radii[level] if level else min(0.85 * column, 3.4 * radius)  # a pixel's name stands below it
        size = min(font, room / max(0.58, *(ems(names[v]) for _, v in row)))
        fonts[level] = size if size >= 0.54 * font else 0.0
    nodes = {
        v: Node(
            place[v], radii[place[v][1]], names[v], fonts[place[v][1]], _state(v, shared), v in latents, v in masked
        )
        for v in hierarchy.nodes
    }
    return Drawing(nodes, bends(hierarchy), column)


def _row(place: Mapping[Hashable, Point], level: float) -> list[tuple[float, Hashable]]:
    """The nodes of a level from left to right, with where they stand."""
    return sorted(((x, v) for v, (x, y) in place.items() if y == level), key=lambda pair: pair[0])


def _state(node: Hashable, shared: SharedInformation | None) -> str:
    return next((name for name in SETS if shared is not None and node in getattr(shared, name)), "")


def letters(name: str) -> tuple[str, str]:
    """A name and its subscript: "x_10" is x and 10, "z4_0" is z and 4,0."""
    parts = re.fullmatch(r"([A-Za-z])_?(\d+(?:_\d+)*)", name)
    return (parts[1], parts[2].replace("_", ",")) if parts else (name, "")


def ems(name: tuple[str, str]) -> float:
    """About how wide a name is, in its font size."""
    return 0.58 * (len(name[0]) + 0.75 * len(name[1]))


def _spread(wanted: dict[Hashable, float], gap: float) -> dict[Hashable, float]:
    """Positions in a row, in the wanted order, at least `gap` apart, and centred where they were wanted."""
    order = sorted(wanted, key=lambda node: wanted[node])
    placed: list[float] = []
    for node in order:
        placed.append(max(wanted[node], placed[-1] + gap) if placed else wanted[node])
    shift = sum(x - wanted[node] for x, node in zip(placed, order)) / len(order)
    return {node: x - shift for x, node in zip(placed, order)}


def layout(hierarchy: LatentHierarchy) -> dict[Hashable, Point]:
    """(x, y) of each node: pixels in their order at y = 0, a latent at its level, above the middle of its children."""
    position = {pixel: (float(i), 0.0) for i, pixel in enumerate(hierarchy.observables)}
    rows: dict[int, list[Hashable]] = {}
    for node in hierarchy.latents:
        rows.setdefault(hierarchy.level(node), []).append(node)
    for level in sorted(rows):
        wanted = {}
        for node in rows[level]:
            below = [position[child][0] for child in hierarchy.children(node)]
            wanted[node] = sum(below) / len(below) if below else len(position) / 2
        gap = max(1.0, (len(hierarchy.observables) - 1) / (4 * len(wanted)))
        position |= {node: (x, float(level)) for node, x in _spread(wanted, gap).items()}
    return position


def curve(start: Point, end: Point, shift: float, count: int = 41) -> list[Point]:
    """Points of an edge whose middle control point is moved to the right by `shift`."""
    (x, y), (to_x, to_y) = start, end
    steps = (i / (count - 1) for i in range(count))
    return [(x + t * (to_x - x) + 2 * t * (1 - t) * shift, y + t * (to_y - y)) for t in steps]


def bends(hierarchy: LatentHierarchy) -> dict[tuple[Hashable, Hashable], float]:
    """By how much to bend each edge (parent, child), as `curve` does: not at all, or so as to pass no other node.

    Only an edge past a level can meet a node. Bends are counted in columns, so they hold at any height of the picture.
    """
    position, found = layout(hierarchy), {}
    for parent in hierarchy.latents:
        for child in hierarchy.children(parent):
            start, end = position[parent], position[child]
            others = [point for node, point in position.items() if node not in (parent, child)]
            found[parent, child] = _bend(start, end, others) if start[1] - end[1] > 1.5 else 0.0
    return found


def _bend(start: Point, end: Point, others: list[Point]) -> float:
    """The least of the bends that keep an edge away from `others`, or the one that keeps it farthest."""
    best, widest = 0.0, -1.0
    for shift in sorted((sign * step / 4 for step, sign in product(range(17), (1, -1))), key=abs):
        if (room := _room(curve(start, end, shift), others)) > widest:
            best, widest = shift, room
        if widest == 1.0:
            break
    return best


def _room(edge: list[Point], others: list[Point]) -> float:
    """How near the nearest node is, 1 where none is too near."""
    away = (hypot((x - a) / _ROOM_ACROSS, (y - b) / _ROOM_UP) for x, y in edge for a, b in others)
    return min(1.0, min(away, default=1.0))
