"""The explorer's graph: the look of `drawing.draw_hierarchy`, as SVG whose nodes a script can find and change.

Plain Python: a reader's browser draws with it as well.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from html import escape
from itertools import pairwise

from mae_lib.theory import LatentHierarchy, SharedInformation
from maebook.graph_layout import bends, layout

_WIDTH = 360.0  # of the view box: about a phone's width, so that names are legible there

_SETS = {
    "c": ("c =", "shared, minimal"),
    "split": ("A =", "shared: all that c implies"),
    "s_m": ("sₘ: noise of", "masked side only"),
    "s_mc": ("sₘᶜ: noise of", "visible side only"),
}


def names(hierarchy: LatentHierarchy, nodes: Iterable[Hashable], name: Callable[[str], str] = str) -> str:
    """The nodes as a set in the order of the hierarchy: "{z1, x2}", or "∅"; `name` says how each is written."""
    nodes = set(nodes)
    return f"{{{', '.join(name(str(v)) for v in hierarchy.nodes if v in nodes)}}}" if nodes else "∅"


def _state_of(node: Hashable, shared: SharedInformation) -> str:
    return next((state for state in ("c", "split", "s_m", "s_mc") if node in getattr(shared, state)), "")


def _edge(start: complex, end: complex, radii: tuple[float, float], shift: float) -> str:
    """An arrow between two nodes, stopping at their outlines; `shift` moves its middle control point, in px."""
    middle = (start + end) / 2 + shift
    out, back = ((middle - point) / abs(middle - point) for point in (start, end))
    tail, tip = start + radii[0] * out, end + (radii[1] + 1) * back
    base, side = tip + 6 * back, 2.2j * back
    line = f"M{_at(tail)}Q{_at(middle)} {_at(base)}"
    head = f"M{_at(tip)}L{_at(base + side)}L{_at(base - side)}Z"
    return f'<path class="edge" d="{line}"/><path class="head" d="{head}"/>'


def _at(point: complex) -> str:
    return f"{point.real:.1f} {point.imag:.1f}"


def _letters(name: str) -> tuple[str, str]:
    """A name and its subscript: "x_10" is x and 10, "z4_0" is z and 4,0."""
    parts = re.fullmatch(r"([A-Za-z])_?(\d+(?:_\d+)*)", name)
    return (parts[1], parts[2].replace("_", ",")) if parts else (name, "")


def told(name: str) -> str:
    """A name in a line of the page, as HTML."""
    letters, below = map(escape, _letters(name))
    return f"{letters}<sub>{below}</sub>" if below else letters


def _ems(name: str) -> float:
    """About how wide a name is, in its font size."""
    letters, below = _letters(name)
    return 0.58 * (len(letters) + 0.75 * len(below))


def _text(name: str, x: float, y: float, room: float, longest: float) -> str:
    """The name, as large as `room` px allow the longest of its kind; nothing where it could not be read."""
    if (size := min(12.0, room / max(longest, 0.58))) < 6.5:
        return ""
    letters, below = map(escape, _letters(name))
    below = f'<tspan dy="{0.25 * size:.1f}" font-size="{0.75 * size:.1f}">{below}</tspan>' if below else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}">{letters}{below}</text>'


def _latent(name: str, point: complex, radius: float, longest: float) -> str:
    """A circle: the ground hides the edges behind it, so that the tint above may be translucent."""
    x, y = point.real, point.imag
    circle = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"'
    named = _text(name, x, y, 1.9 * radius, longest)
    return f'<circle class="ground" {circle}/><circle class="tint" {circle}/>{named}'


def _pixel(name: str, point: complex, radius: float, column: float, longest: float) -> str:
    """A square, its cross and its name below, in a column of `column` px that takes the clicks."""
    x, y, arm = point.real, point.imag, 0.7 * radius
    square = f'x="{x - radius:.1f}" y="{y - radius:.1f}" width="{2 * radius:.1f}" height="{2 * radius:.1f}"'
    hit = f'x="{x - column / 2:.1f}" y="{y - radius - 6:.1f}" width="{column:.1f}" height="{2 * radius + 24:.1f}"'
    left, right, up, down = (f"{end:.1f}" for end in (x - arm, x + arm, y - arm, y + arm))
    return (
        f'<rect class="hit" rx="3" {hit}/><rect class="ground" {square}/><rect class="tint" {square}/>'
        f'<path class="cross" d="M{left} {up}L{right} {down}M{left} {down}L{right} {up}"/>'
        f"{_text(name, x, y + radius + 9, 0.85 * column, longest)}"
    )


def graph_svg(hierarchy: LatentHierarchy, masked: frozenset, shared: SharedInformation) -> str:
    """The graph with what `shared` makes of each node; nodes are `<g data-node>` in the order of `hierarchy.nodes`."""
    place = layout(hierarchy)
    across = [x for x, _ in place.values()]
    scale = _WIDTH / (max(across) - min(across) + 1.2)
    top = max(level for _, level in place.values())
    rise, margin = min(70.0, max(52.0, 1.4 * scale)), 22.0
    rows: dict[float, list[float]] = {}
    for z in hierarchy.latents:
        rows.setdefault(place[z][1], []).append(place[z][0])
    closest = min((b - a for row in rows.values() for a, b in pairwise(sorted(row))), default=9.0)
    radius = {z: min(16.0, 0.46 * scale * closest) for z in hierarchy.latents}
    radius |= {x: min(15.0, 0.42 * scale) for x in hierarchy.observables}
    at = {v: complex((x - min(across) + 0.6) * scale, margin + (top - y) * rise) for v, (x, y) in place.items()}
    edges = [
        _edge(at[z], at[child], (radius[z], radius[child]), shift * scale)
        for (z, child), shift in bends(hierarchy).items()
    ]
    longest = [max((_ems(str(v)) for v in kind), default=0.0) for kind in (hierarchy.latents, hierarchy.observables)]
    drawn = [_latent(str(z), at[z], radius[z], longest[0]) for z in hierarchy.latents]
    drawn += [_pixel(str(x), at[x], radius[x], min(scale, 48.0), longest[1]) for x in hierarchy.observables]
    nodes = []
    for v, shape in zip(hierarchy.nodes, drawn, strict=True):
        kind = ' class="masked"' if v in masked else ""
        nodes.append(
            f'<g data-node data-state="{_state_of(v, shared)}"{kind}><title>{escape(str(v))}</title>{shape}</g>'
        )
    alt = (
        f"A graph of {len(hierarchy.latents)} latents over {len(hierarchy.observables)} pixels. "
        f"Masked: {names(hierarchy, masked)}. Shared: c is {names(hierarchy, shared.c)}."
    )
    box = f"0 0 {_WIDTH:g} {2 * margin + top * rise + 14:.0f}"
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(alt)}">{"".join(edges)}{"".join(nodes)}</svg>'


def set_list(hierarchy: LatentHierarchy, shared: SharedInformation) -> str:
    """The four sets with the look of each, as HTML."""
    lines = (
        f'<li aria-atomic="true"><span class="swatch" data-state="{name}"></span><span>{symbol} '
        f'<span data-set="{name}">{names(hierarchy, getattr(shared, name), told)}</span> '
        f"<small>{meaning}</small></span></li>"
        for name, (symbol, meaning) in _SETS.items()
    )
    return f'<ul aria-live="polite">{"".join(lines)}</ul>'
