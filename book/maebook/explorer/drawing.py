"""The explorer's graph: a drawing of `maebook.graph_layout` as SVG whose nodes a script can find and change.

Plain Python: a reader's browser draws with it as well.
"""

from collections.abc import Callable, Hashable, Iterable
from html import escape

from mae_lib.theory import LatentHierarchy, SharedInformation
from maebook.graph_layout import Node, arrange, letters

_WIDTH = 360.0  # of the view box: about a phone's width, so that names are legible there
_MARGIN = 22.0

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


def told(name: str) -> str:
    """A name in a line of the page, as HTML."""
    first, below = map(escape, letters(name))
    return f"{first}<sub>{below}</sub>" if below else first


def _text(node: Node, x: float, y: float) -> str:
    """Its name, where it can be read."""
    if not node.font:
        return ""
    first, below = map(escape, node.name)
    below = f'<tspan dy="{0.25 * node.font:.1f}" font-size="{0.75 * node.font:.1f}">{below}</tspan>' if below else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{node.font:.1f}">{first}{below}</text>'


def _latent(node: Node, point: complex) -> str:
    """A circle: the ground hides the edges behind it, so that the tint above may be translucent."""
    x, y = point.real, point.imag
    circle = f'cx="{x:.1f}" cy="{y:.1f}" r="{node.radius:.1f}"'
    return f'<circle class="ground" {circle}/><circle class="tint" {circle}/>{_text(node, x, y)}'


def _pixel(node: Node, point: complex, column: float) -> str:
    """A square, its cross and its name below, in a column of `column` px that takes the clicks."""
    x, y, radius = point.real, point.imag, node.radius
    square = f'x="{x - radius:.1f}" y="{y - radius:.1f}" width="{2 * radius:.1f}" height="{2 * radius:.1f}"'
    hit = f'x="{x - column / 2:.1f}" y="{y - radius - 6:.1f}" width="{column:.1f}" height="{2 * radius + 24:.1f}"'
    left, right, up, down = (
        f"{end:.1f}" for end in (x - 0.7 * radius, x + 0.7 * radius, y - 0.7 * radius, y + 0.7 * radius)
    )
    return (
        f'<rect class="hit" rx="3" {hit}/><rect class="ground" {square}/><rect class="tint" {square}/>'
        f'<path class="cross" d="M{left} {up}L{right} {down}M{left} {down}L{right} {up}"/>'
        f"{_text(node, x, y + radius + 9)}"
    )


def graph_svg(hierarchy: LatentHierarchy, masked: frozenset, shared: SharedInformation) -> str:
    """The graph with what `shared` makes of each node; nodes are `<g data-node>` in the order of `hierarchy.nodes`."""
    nodes, bends, column = arrange(hierarchy, shared, masked, width=_WIDTH)
    left = min(node.point[0] for node in nodes.values()) - 0.6
    top = max(node.point[1] for node in nodes.values())
    rise = min(70.0, max(52.0, 1.4 * column))

    def at(v: Hashable) -> complex:
        x, y = nodes[v].point
        return complex((x - left) * column, _MARGIN + (top - y) * rise)

    drawn = [
        _edge(at(z), at(child), (nodes[z].radius, nodes[child].radius), shift * column)
        for (z, child), shift in bends.items()
    ]
    for v, node in nodes.items():
        shape = _latent(node, at(v)) if node.latent else _pixel(node, at(v), min(column, 48.0))
        kind = ' class="masked"' if node.masked else ""
        drawn.append(f'<g data-node data-state="{node.state}"{kind}><title>{escape(str(v))}</title>{shape}</g>')
    alt = (
        f"A graph of {len(hierarchy.latents)} latents over {len(hierarchy.observables)} pixels. "
        f"Masked: {names(hierarchy, masked)}. Shared: c is {names(hierarchy, shared.c)}."
    )
    box = f"0 0 {_WIDTH:g} {2 * _MARGIN + top * rise + 14:.0f}"
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(alt)}">{"".join(drawn)}</svg>'


def set_list(hierarchy: LatentHierarchy, shared: SharedInformation) -> str:
    """The four sets with the look of each, as HTML."""
    lines = (
        f'<li aria-atomic="true"><span class="swatch" data-state="{name}"></span><span>{symbol} '
        f'<span data-set="{name}">{names(hierarchy, getattr(shared, name), told)}</span> '
        f"<small>{meaning}</small></span></li>"
        for name, (symbol, meaning) in _SETS.items()
    )
    return f'<ul aria-live="polite">{"".join(lines)}</ul>'
