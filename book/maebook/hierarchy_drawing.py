"""A latent hierarchy as a picture: levels as rows, pixels at the bottom, and what a mask makes of each node.

Shape says what a node is (circle: latent, square: pixel, cross: masked); fill and outline say where its information
goes, so that no reading hangs on colour: c has a thick outline, s_m a dashed one and s_mc a dotted one.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionStyle, FancyArrowPatch, Patch
from matplotlib.path import Path

from mae_lib.theory import LatentHierarchy, SharedInformation
from maebook.figures import INK, PALETTE, PAPER
from maebook.graph_layout import Drawing, Node, arrange, curve, letters

_BLUE, _VERMILLION, _GREEN = PALETTE[:3]
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class _Look(NamedTuple):
    label: str
    fill: str
    edge: str
    line: str | tuple
    width: float
    opacity: float


_LOOKS = {
    "": _Look("node", PAPER, INK, "-", 0.9, 1.0),
    "c": _Look("c: shared, minimal", _BLUE, INK, "-", 2.6, 0.55),
    "split": _Look("A: shared, implied by c", _BLUE, _BLUE, "-", 1.0, 0.18),
    "s_m": _Look("sₘ: masked side only", _VERMILLION, _VERMILLION, (0, (4, 2)), 1.5, 0.22),
    "s_mc": _Look("sₘᶜ: visible side only", _GREEN, _GREEN, (0, (1, 1.3)), 1.8, 0.22),
}


def typeset(name: str) -> str:
    """A node's name in a title, a table or a tick, as its drawing has it: "x10" is x₁₀."""
    first, below = letters(name)
    return first + below.translate(_LOW)


def _draw_node(ax: Axes, node: Node) -> None:
    # Two layers: the ground hides the edges behind the node, so that the tint above it may be translucent.
    marker, size, look = "o" if node.latent else "s", 2 * node.radius, _LOOKS[node.state]
    ax.plot(*node.point, marker, ms=size, mfc=PAPER, mec="none", zorder=3)
    ax.plot(*node.point, marker, ms=size, mfc=look.fill, mec="none", alpha=look.opacity, zorder=4)
    outline = {"facecolors": "none", "edgecolors": look.edge, "linewidths": look.width, "linestyles": [look.line]}
    ax.scatter(*node.point, s=size**2, marker=marker, zorder=5, **outline)
    if node.masked:
        ax.plot(*node.point, "x", color=INK, ms=size * 0.8, mew=1.6, alpha=0.5, zorder=6)
    if node.font:
        # A pixel's name stands below it, where no cross is drawn.
        place = {"va": "center"} if node.latent else {"va": "top", "xytext": (0, -size / 2 - 2)}
        place = {"xytext": (0, 0), "textcoords": "offset points", "ha": "center"} | place
        first, below = node.name
        ax.annotate(f"{first}$_{{{below}}}$" if below else first, node.point, fontsize=node.font, zorder=7, **place)


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


def _draw_edges(ax: Axes, drawing: Drawing) -> None:
    for (parent, child), shift in drawing.bends.items():
        ends = drawing.nodes[parent], drawing.nodes[child]
        room = {"shrinkA": ends[0].radius, "shrinkB": ends[1].radius + 1}
        style = {"arrowstyle": "-|>", "mutation_scale": 7, "color": INK, "alpha": 0.55, "lw": 0.8}
        points = (node.point for node in ends)
        ax.add_patch(FancyArrowPatch(*points, connectionstyle=_Bent(ax, shift), **style, **room))


def draw_hierarchy(
    ax: Axes,
    hierarchy: LatentHierarchy,
    shared: SharedInformation | None = None,
    masked: Iterable[Hashable] = (),
    legend: bool = True,
    labels: Mapping[Hashable, str] | None = None,
) -> None:
    """Draw a hierarchy on `ax`, in columns and levels: coloured by Theorem 1's sets where `shared` is given.

    The `masked` pixels are crossed. Nodes are named, or carry what `labels` says of them, where the texts fit. Raises
    ValueError as `arrange` does.
    """
    wide = ax.get_window_extent().width * 72 / ax.figure.dpi
    drawing = arrange(hierarchy, shared, masked, labels, width=wide, radius=10.5, font=10.0)
    nodes = drawing.nodes.values()
    _draw_edges(ax, drawing)
    for node in nodes:
        _draw_node(ax, node)
    across, up = map(list, zip(*(node.point for node in nodes)))
    ends = ((drawing.nodes[z].point, drawing.nodes[v].point, shift) for (z, v), shift in drawing.bends.items())
    across += [x for edge in ends for x, _ in curve(*edge)]
    named = any(node.font and node.name[0] for node in nodes if not node.latent)
    ax.set(xlim=(min(across) - 0.7, max(across) + 0.7), ylim=(-0.75 if named else -0.45, max(up) + 0.45))
    ax.set_axis_off()
    if legend:
        used = {node.state for node in nodes} - {""}
        _legend(ax, [look for state, look in _LOOKS.items() if state in used], any(node.masked for node in nodes))
