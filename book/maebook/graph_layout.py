"""Where the nodes of a hierarchy stand in a drawing, and how its edges run: plain Python, as a browser has no more."""

from collections.abc import Hashable
from itertools import product
from math import hypot

from mae_lib.theory import LatentHierarchy

Point = tuple[float, float]
LARGEST = 100  # nodes; beyond that a picture of the book's width shows nothing
_ROOM_ACROSS, _ROOM_UP = 0.42, 0.34  # from a node's middle to where an edge may pass, in columns and levels


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
    for shift in sorted((sign * step / 2 for step, sign in product(range(9), (1, -1))), key=abs):
        if (room := _room(curve(start, end, shift), others)) > widest:
            best, widest = shift, room
        if widest == 1.0:
            break
    return best


def _room(edge: list[Point], others: list[Point]) -> float:
    """How near the nearest node is, 1 where none is too near."""
    away = (hypot((x - a) / _ROOM_ACROSS, (y - b) / _ROOM_UP) for x, y in edge for a, b in others)
    return min(1.0, min(away, default=1.0))
