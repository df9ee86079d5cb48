"""A latent hierarchy as a picture: levels as rows, pixels at the bottom, and what a mask makes of each node.

Shape says what a node is (circle: latent, square: pixel, cross: masked); fill and outline say where its information
goes, so that no reading hangs on colour: c has a thick outline, s_m a dashed one and s_mc a dotted one.
"""

from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch

from mae_lib.reporting.plots import INK, PALETTE, PAPER
from mae_lib.theory import LatentHierarchy, SharedInformation

LARGEST = 100  # nodes; beyond that a picture of the book's width shows nothing
_BLUE, _VERMILLION, _GREEN = PALETTE[:3]


class _Look(NamedTuple):
    label: str
    fill: str
    edge: str
    line: str | tuple
    width: float
    opacity: float


_PLAIN = _Look("node", PAPER, INK, "-", 0.9, 1.0)
_LOOKS = {
    "c": _Look("c: shared, minimal", _BLUE, INK, "-", 2.6, 0.55),
    "split": _Look("A: shared, implied by c", _BLUE, _BLUE, "-", 1.0, 0.18),
    "s_m": _Look("s_m: masked side only", _VERMILLION, _VERMILLION, (0, (4, 2)), 1.5, 0.22),
    "s_mc": _Look("s_mc: visible side only", _GREEN, _GREEN, (0, (1, 1.3)), 1.8, 0.22),
}


def _spread(wanted: dict[Hashable, float], gap: float) -> dict[Hashable, float]:
    """Positions in a row, in the wanted order, at least `gap` apart, and centred where they were wanted."""
    order = sorted(wanted, key=lambda node: wanted[node])
    placed: list[float] = []
    for node in order:
        placed.append(max(wanted[node], placed[-1] + gap) if placed else wanted[node])
    shift = sum(x - wanted[node] for x, node in zip(placed, order)) / len(order)
    return {node: x - shift for x, node in zip(placed, order)}


def layout(hierarchy: LatentHierarchy) -> dict[Hashable, tuple[float, float]]:
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


def _sizes(position: dict[Hashable, tuple[float, float]], pixels: int) -> dict[float, float]:
    """Diameter in points of the nodes of each level: as large as the level's closest neighbours allow."""
    unit, sizes = 190 / max(pixels, 8), {}
    for level in {y for _, y in position.values()}:
        across = sorted(x for x, y in position.values() if y == level)
        gaps = [b - a for a, b in pairwise(across)]
        sizes[level] = min([21.0, *(unit * gap for gap in gaps)])
    return sizes


def _look(node: Hashable, shared: SharedInformation | None) -> _Look:
    parts = () if shared is None else [name for name in _LOOKS if node in getattr(shared, name)]
    return _LOOKS[parts[0]] if parts else _PLAIN


def _draw_node(ax: Axes, point: tuple[float, float], marker: str, look: _Look, size: float) -> None:
    # Two layers: the ground hides the edges behind the node, so that the tint above it may be translucent.
    ax.plot(*point, marker, ms=size, mfc=PAPER, mec="none", zorder=3)
    ax.plot(*point, marker, ms=size, mfc=look.fill, mec="none", alpha=look.opacity, zorder=4)
    outline = {"facecolors": "none", "edgecolors": look.edge, "linewidths": look.width, "linestyles": [look.line]}
    ax.scatter(*point, s=size**2, marker=marker, zorder=5, **outline)


def _legend(ax: Axes, used: Iterable[_Look], crosses: bool) -> None:
    entries: list[Artist] = [
        Patch(fc=to_rgba(look.fill, look.opacity), ec=look.edge, ls=look.line, lw=look.width, label=look.label)
        for look in used
    ]
    entries += [Line2D([], [], color=INK, marker="x", linestyle="", label="masked pixel")] if crosses else []
    if entries:
        ax.legend(handles=entries, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, handlelength=2.6)


def _draw_edges(ax: Axes, hierarchy: LatentHierarchy, position: dict, sizes: dict[float, float]) -> None:
    for parent in hierarchy.latents:
        for child in hierarchy.children(parent):
            skips = position[parent][1] - position[child][1] > 1.5  # such an edge bends past the nodes between
            curve = f"arc3,rad={0.12 if skips else 0}"
            ends = position[parent], position[child]
            room = {"shrinkA": sizes[ends[0][1]] / 2, "shrinkB": sizes[ends[1][1]] / 2 + 1}
            style = {"arrowstyle": "-|>", "mutation_scale": 7, "color": INK, "alpha": 0.55, "lw": 0.8}
            ax.add_patch(FancyArrowPatch(*ends, connectionstyle=curve, **style, **room))


def _check(hierarchy: LatentHierarchy, masked: set[Hashable]) -> None:
    count = len(hierarchy.latents) + len(hierarchy.observables)
    if count > LARGEST:
        raise ValueError(f"{count} nodes are too many to be read: draw a hierarchy of at most {LARGEST}")
    if unknown := masked - set(hierarchy.observables):
        raise ValueError(f"masked nodes {sorted(map(str, unknown))} are no observables of this hierarchy")


def draw_hierarchy(
    ax: Axes,
    hierarchy: LatentHierarchy,
    shared: SharedInformation | None = None,
    masked: Iterable[Hashable] = (),
    legend: bool = True,
    labels: Mapping[Hashable, str] | None = None,
) -> None:
    """Draw a hierarchy on `ax`, coloured by Theorem 1's sets where `shared` is given, the `masked` pixels crossed.

    A level's nodes are named, or carry what `labels` says of them, where the texts fit. Raises ValueError for more than
    100 nodes, or one masked that is no pixel.
    """
    masked, labels = set(masked), labels or {}
    _check(hierarchy, masked)
    position, latents = layout(hierarchy), set(hierarchy.latents)
    sizes = _sizes(position, len(hierarchy.observables))
    _draw_edges(ax, hierarchy, position, sizes)
    texts = {node: labels.get(node, str(node)) for node in position}
    longest = {y: max(len(texts[node]) for node in position if position[node][1] == y) for y in sizes}
    for node, point in position.items():
        size = sizes[point[1]]
        _draw_node(ax, point, "o" if node in latents else "s", _look(node, shared), size)
        if node in masked:
            ax.plot(*point, "x", color=INK, ms=size * 0.8, mew=1.6, alpha=0.5, zorder=6)
        if longest[point[1]] * 5.2 < size:
            ax.text(*point, texts[node], ha="center", va="center", fontsize=9, zorder=7)
    across, up = zip(*position.values())
    ax.set(xlim=(min(across) - 0.7, max(across) + 0.7), ylim=(-0.45, max(up) + 0.45))
    ax.set_axis_off()
    if legend:
        used = {_look(node, shared) for node in position}
        _legend(ax, [look for look in _LOOKS.values() if look in used], bool(masked))
