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
from matplotlib.patches import ConnectionStyle, FancyArrowPatch, Patch
from matplotlib.path import Path

from mae_lib.theory import LatentHierarchy, SharedInformation
from maebook.figures import INK, PALETTE, PAPER
from maebook.graph_layout import LARGEST, bends, curve, layout

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


class _Bent(ConnectionStyle.Arc3):
    """An edge as `curve` has it, whatever the scales of the axes."""

    def __init__(self, ax: Axes, shift: float):
        super().__init__()
        self.ax, self.shift = ax, shift

    def connect(self, posA: tuple, posB: tuple) -> Path:
        (left, _), (right, _) = self.ax.transData.transform([(0, 0), (self.shift, 0)])
        middle = ((posA[0] + posB[0]) / 2 + right - left, (posA[1] + posB[1]) / 2)
        return Path([posA, middle, posB], [Path.MOVETO, Path.CURVE3, Path.CURVE3])


def _draw_edges(ax: Axes, bent: Mapping[tuple, float], position: dict, sizes: dict[float, float]) -> None:
    for (parent, child), shift in bent.items():
        ends = position[parent], position[child]
        room = {"shrinkA": sizes[ends[0][1]] / 2, "shrinkB": sizes[ends[1][1]] / 2 + 1}
        style = {"arrowstyle": "-|>", "mutation_scale": 7, "color": INK, "alpha": 0.55, "lw": 0.8}
        ax.add_patch(FancyArrowPatch(*ends, connectionstyle=_Bent(ax, shift), **style, **room))


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

    A level's nodes are named, pixels below, or carry what `labels` says of them, where the texts fit. Raises
    ValueError for more than 100 nodes, or one masked that is no pixel.
    """
    masked, labels = set(masked), labels or {}
    _check(hierarchy, masked)
    position, latents = layout(hierarchy), set(hierarchy.latents)
    sizes = _sizes(position, len(hierarchy.observables))
    bent = bends(hierarchy)
    _draw_edges(ax, bent, position, sizes)
    texts = {node: labels.get(node, str(node)) for node in position}
    named = False
    longest = {y: max(len(texts[node]) for node in position if position[node][1] == y) for y in sizes}
    for node, point in position.items():
        size = sizes[point[1]]
        _draw_node(ax, point, "o" if node in latents else "s", _look(node, shared), size)
        if node in masked:
            ax.plot(*point, "x", color=INK, ms=size * 0.8, mew=1.6, alpha=0.5, zorder=6)
        if longest[point[1]] * 5.7 < size:
            # A pixel's name stands below it, where no cross is drawn.
            place = {"va": "center"} if node in latents else {"va": "top", "xytext": (0, -size / 2 - 2)}
            place = {"xytext": (0, 0), "textcoords": "offset points", "ha": "center"} | place
            ax.annotate(texts[node], point, fontsize=10, zorder=7, **place)
            named |= node not in latents and bool(texts[node])
    across, up = map(list, zip(*position.values()))
    across += [x for (z, v), shift in bent.items() for x, _ in curve(position[z], position[v], shift)]
    bottom = -0.75 if named else -0.45
    ax.set(xlim=(min(across) - 0.7, max(across) + 0.7), ylim=(bottom, max(up) + 0.45))
    ax.set_axis_off()
    if legend:
        used = {_look(node, shared) for node in position}
        _legend(ax, [look for look in _LOOKS.values() if look in used], bool(masked))
