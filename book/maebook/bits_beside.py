"""The bits that only the highest level tells, as a thin row of plots below measured curves over the ratio and the unit.

Theory of this book, exact for each mask: nothing is trained. See the page "How many bits each level adds".
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mae_lib.limits.bits_by_level import bits_of_masks, figurine_tree, quadtree_code
from mae_lib.studies.series import Series
from mae_lib.worlds import World
from mae_lib.worlds.figurines import Figurines
from maebook.figures import AXES, DASHES, INK, MARKERS, remember

CAPTION = (
    "Bottom row (theory): bits about the hidden patches that only the top level of a tree adds: for figurines their "
    "own, for drawings, which have no known tree, an assumed quadtree."
)
TITLE = "bits of the top level (theory)"
ALT = "A thin bottom row shows the bits that only the highest level of the tree adds, on the same axes."


def top_bits(series: Series, draws: int = 128) -> dict[str, pd.DataFrame] | None:
    """The bits of the highest level under the masks of a series, by "ratio" and by "unit": columns of that and `value`.

    Figurines have their own grammar, any other world a quadtree code; a mean over `draws` masks, of each exact. None
    for a grid of patches that is no power of two, over which no tree is assumed.
    """
    grid = series.scale["image_size"] // series.scale["patch"]
    if grid < 2 or grid & (grid - 1):
        return None
    samplers = tuple(dict.fromkeys((mask[:2], config.masks()) for mask, config in series.configs.items()))
    table = _top_level(series.world, series.scale["patch"], grid, samplers, draws)
    masks = list(zip(table["ratio"], table["unit"]))
    return {
        x: table.loc[[mask in {one[:2] for one in series.by(x)} for mask in masks], [x, "value"]].sort_values(x)
        for x in ("ratio", "unit")
    }


@cache  # several figures of a page show the same
def _top_level(world: World, patch: int, grid: int, samplers: tuple, draws: int) -> pd.DataFrame:
    tree = figurine_tree(world, patch) if isinstance(world, Figurines) else quadtree_code(grid)
    table = bits_of_masks(tree, dict(samplers), draws)
    return table[table["level"] == table["level"].max()].rename(columns={"bits": "value"})


def bits_row(axes: np.ndarray, bits: Mapping[str, pd.DataFrame] | None) -> None:
    """Draw `top_bits` into the last row of axes (rows, 2), ratio on the left and unit on the right.

    The columns share their x axis, whose ticks are those of the rows above and whose label is here alone.
    """
    for column, x in zip(axes.T, ("ratio", "unit")):
        for axis in column[:-1]:
            axis.set_xlabel("")
        bits_panel(column[-1], bits, x)
    axes[-1, 0].set_title(TITLE, loc="left")


def add_bits_row(axes: np.ndarray, bits: Mapping[str, pd.DataFrame] | None, colour: str) -> None:
    """Draw the `top_bits` of another world over those of `bits_row`, in its colour; nothing for None."""
    if bits is not None:
        for axis, x in zip(axes[-1], ("ratio", "unit")):
            _line(axis, bits[x], x, colour)


def _line(axis: Axes, bits: pd.DataFrame, x: str, colour: str) -> None:
    axis.plot(bits[x], bits["value"], marker=MARKERS[-1], ls=DASHES[-1], color=colour, lw=1.6)
    remember(axis, bits)
    axis.margins(y=0.15)  # room for the highest mark
    axis.autoscale(axis="y")
    axis.set_ylim(0, None)


def bits_panel(axis: Axes, bits: Mapping[str, pd.DataFrame] | None, x: str) -> None:
    """Draw `top_bits` against "ratio" or "unit"; with None the panel says that there is no tree."""
    if bits is None:
        axis.text(0.5, 0.5, "no tree assumed", ha="center", va="center", transform=axis.transAxes)
        axis.set_yticks([])
        return
    _line(axis, bits[x], x, INK)
    axis.set_xticks(bits[x][x], [f"{point:g}" for point in bits[x][x]])
    axis.set_xlabel(AXES[x])
