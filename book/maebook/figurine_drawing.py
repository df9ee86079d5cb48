"""A figurine beside the hierarchy that made it: its picture in 4 x 4 blocks, and the tree with its true symbols.

A block, a quarter of the picture's side, shows one corner of one part. So the tree is class -> 4 parts -> 16 blocks,
the blocks in its order, part by part, and each leaf is drawn as the piece of the picture that it stands for.
"""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle
from networkx import DiGraph
from torch import Tensor

from mae_lib.theory import LatentHierarchy, SharedInformation
from maebook.figures import INK, PAPER
from maebook.graph_layout import layout
from maebook.hierarchy_drawing import draw_hierarchy

_SIDE = 4  # blocks along a side of the picture
# Row and column of each block, in the tree's order: part by part, and within a part in raster order.
PLACES = [(2 * (p // 2) + k // 2, 2 * (p % 2) + k % 2) for p in range(4) for k in range(4)]


def figurine_tree() -> LatentHierarchy:
    """class -> parts p1 to p4 -> blocks "1" to "16"; the first four are those of p1, in raster order."""
    parts = {f"p{p + 1}": [str(4 * p + k + 1) for k in range(4)] for p in range(4)}
    return LatentHierarchy(DiGraph({"class": list(parts)} | parts))


def symbols(latents: Mapping[str, Tensor], row: int = 0) -> dict[str, str]:
    """What to write on the latents of a figurine: the class's number, and a letter from A to D for each part."""
    letters = ("ABCD"[k] for k in latents["parts"][row].tolist())
    return {"class": str(int(latents["class"][row]))} | {f"p{p}": k for p, k in enumerate(letters, 1)}


def blocks(image: np.ndarray) -> list[np.ndarray]:
    """The 16 blocks (H / 4, W / 4, 3) of a picture (H, W, 3), in the tree's order.

    Raises ValueError for a picture whose sides do not divide by 4.
    """
    if image.ndim != 3 or image.shape[0] % _SIDE or image.shape[1] % _SIDE:
        raise ValueError(f"the picture has shape {image.shape}: give (H, W, 3) with sides that divide by {_SIDE}")
    high, wide = (side // _SIDE for side in image.shape[:2])
    return [image[r * high : (r + 1) * high, c * wide : (c + 1) * wide] for r, c in PLACES]


def draw_picture(ax: Axes, image: np.ndarray, masked: Iterable[Hashable] = ()) -> None:
    """The picture (H, W, 3) under its grid of blocks; the `masked` ones are covered and crossed."""
    ax.imshow(image, extent=(0, _SIDE, _SIDE, 0), interpolation="none")
    masked = set(masked)
    for number, (row, column) in enumerate(PLACES, 1):
        hidden = str(number) in masked
        cover = {"fc": PAPER if hidden else "none", "ec": INK, "lw": 0.6, "alpha": None if hidden else 0.45}
        ax.add_patch(Rectangle((column, row), 1, 1, **cover))
        if hidden:
            ax.plot(column + 0.5, row + 0.5, "x", color=INK, ms=7, mew=1.2, alpha=0.5)
    ax.set(xlim=(-0.03, _SIDE + 0.03), ylim=(_SIDE + 0.03, -0.03))
    ax.set_axis_off()


def draw_tree(
    ax: Axes,
    image: np.ndarray,
    labels: Mapping[Hashable, str],
    shared: SharedInformation | None = None,
    masked: Iterable[Hashable] = (),
    leaf: float = 13.0,
) -> None:
    """The tree over the blocks of a picture (H, W, 3), `leaf` points wide each; masked ones stay a crossed square.

    `labels` as `symbols` gives them; with `shared`, Theorem 1's sets are marked. Raises ValueError as `blocks` does.
    """
    tree, masked = figurine_tree(), set(masked)
    empty = dict.fromkeys(tree.observables, "")
    draw_hierarchy(ax, tree, shared, masked, legend=False, labels={**empty, **labels})
    for node, piece in zip(tree.observables, blocks(image), strict=True):
        if node not in masked:
            picture = OffsetImage(piece, zoom=leaf / len(piece), interpolation="nearest")
            ax.add_artist(AnnotationBbox(picture, layout(tree)[node], frameon=False, pad=0, zorder=7))
