"""The numbers behind a figure, read back from what was drawn: a tidy table that goes with the picture.

So no plot has to hand over its data, and what a reader downloads is what a reader sees.
"""

from collections.abc import Iterator
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

COLUMNS = ("panel", "series", "x", "y", "low", "high")
Row = tuple[str, str, object, object, float, float]


def figure_table(fig: Figure) -> pd.DataFrame:
    """Every curve, bar, point and heat map of a figure: columns panel, series, x, y and, of error bars, low and high.

    Bars carry the names on their axis as x; a heat map has its column as x, its row as y's series and its value as y.
    Pictures and diagrams (axes that are switched off, colours instead of numbers) have no table: no rows.
    """
    rows = [row for number, ax in enumerate(fig.axes, 1) if ax.axison for row in _rows(ax, number)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).dropna(axis="columns", how="all")


def figure_csv(fig: Figure) -> str:
    """`figure_table` as CSV with five significant digits; empty for a figure without numbers."""
    table = figure_table(fig)
    return "" if table.empty else table.to_csv(index=False, float_format="%.5g", lineterminator="\n")


def data_url(csv: str) -> str:
    """A CSV as an address that holds it, so that a page can offer it with nothing to load."""
    return "data:text/csv;charset=utf-8," + quote(csv, safe=",.-+:;=()/_~!*'")


def _rows(ax: Axes, number: int) -> Iterator[Row]:
    panel = ax.get_title(loc="left") or ax.get_title() or ax.get_ylabel() or f"panel {number}"
    drawn: set[object] = set()
    for container in ax.containers:
        drawn |= {part for group in _parts(container) for part in group}
        if isinstance(container, ErrorbarContainer):
            yield from _error_bars(panel, container)
        elif isinstance(container, BarContainer):
            yield from _bars(panel, ax, container)
    for line in ax.lines:
        # A line across the whole panel (axhline) has one coordinate that is no number of the data.
        if line not in drawn and line.get_transform() == ax.transData:
            for x, y in zip(*line.get_data()):
                yield panel, _name(line), x, y, np.nan, np.nan
    for artist in ax.collections:
        if isinstance(artist, PathCollection) and artist not in drawn:
            for x, y in np.ma.filled(artist.get_offsets(), np.nan):
                yield panel, _name(artist), x, y, np.nan, np.nan
    for artist in [*ax.images, *(mesh for mesh in ax.collections if isinstance(mesh, QuadMesh))]:
        cells = np.ma.filled(np.ma.asarray(artist.get_array(), dtype=float), np.nan)
        if cells.ndim == 2:  # three dimensions are colours: a picture
            for (row, column), value in np.ndenumerate(cells):
                yield panel, f"row {row}", column, value, np.nan, np.nan


def _parts(container: BarContainer | ErrorbarContainer) -> list[list[object]]:
    if isinstance(container, BarContainer):
        return [list(container.patches)]
    if not isinstance(container, ErrorbarContainer):
        return []
    line, caps, bars = container.lines
    return [[line], list(caps), list(bars)]


def _error_bars(panel: str, container: ErrorbarContainer) -> Iterator[Row]:
    line, _, bars = container.lines
    if line is None:
        return
    ends = [segment.reshape(-1, 2)[:, 1] for segment in bars[0].get_segments()] if bars and container.has_yerr else []
    for i, (x, y) in enumerate(zip(*line.get_data())):
        low, high = (ends[i][0], ends[i][-1]) if i < len(ends) and len(ends[i]) else (np.nan, np.nan)
        # No interval is drawn as one of no length.
        yield panel, _name(container), x, y, *((low, high) if low != high else (np.nan, np.nan))


def _bars(panel: str, ax: Axes, container: BarContainer) -> Iterator[Row]:
    names = dict(zip(np.round(ax.get_xticks(), 6), (text.get_text() for text in ax.get_xticklabels())))
    for bar in container.patches:
        middle = bar.get_x() + bar.get_width() / 2
        yield panel, _name(container), names.get(np.round(middle, 6)) or middle, bar.get_height(), np.nan, np.nan


def _name(artist: object) -> str:
    label = str(artist.get_label() or "")
    return "" if label.startswith("_") else label
