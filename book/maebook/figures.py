"""One look for every figure of the book, drawn as SVG that lives in the page.

Importing this module sets the style (seaborn "ticks"). Text takes the page's font, and ink the page's text colour, so a
figure follows dark mode; text stays text, so it can be searched and read aloud. The palette is that of Okabe and Ito
(2008), which the common forms of colour blindness can tell apart; a marker and a dash come with every colour, never
colour alone. Figures are 4.8 inches wide with 10 pt text, so that the text is still legible on a phone.
"""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from mae_lib.claims.orderings import basis_of
from mae_lib.metrics.intervals import Interval, bootstrap_interval, mean_interval
from mae_lib.metrics.names import EVERYWHERE, bounds
from maebook.bundles import FIGURE, emit

# Okabe-Ito, the darker colours first: they keep a contrast of 3 to 1 on white and on the dark page.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
# Stand-ins that no plot uses: `figure_html` turns them into the page's own text and background colours.
INK, PAPER = "#010203", "#fdfeff"
AXES = {"ratio": "mask ratio", "unit": "mask unit (px)"}  # as the axes are labelled
WIDTH = 4.8  # inches

_STYLE: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "grid.linewidth": 0.8,
    "hatch.color": INK,
    "image.cmap": "cividis",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.markersize": 6,
    "patch.edgecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "mae_lib",  # ids from content, so that a figure is the same bytes every time
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}
sns.set_theme(style="ticks", palette=list(PALETTE), rc=_STYLE)


def figure(rows: int = 1, columns: int = 1, height: float = 2.8, **options: Any) -> tuple[Figure, Any]:
    """A figure of the book's width and of `height` inches, with its axes; `options` go to `Figure.subplots`.

    It is unknown to pyplot, so a notebook shows it when `show` is called and not a second time.
    """
    drawing = Figure(figsize=(WIDTH, height), layout="constrained")
    return drawing, drawing.subplots(rows, columns, **options)


def _inline(svg: str, caption: str, alt: str) -> str:
    """Matplotlib's file as an element of a page: no preamble, no style for the whole page, ids of its own."""
    view = re.search(r'viewBox="([^"]+)"', svg).group(1)
    body = svg[svg.index("</defs>", svg.index("<style")) + len("</defs>") :]
    body = re.sub(r'<g id="points:([^"]*)">.*?</g>\s*</g>', _named_points, body, flags=re.DOTALL)
    body = re.sub(r" ?font-family: [^;\"]*;?", "", body).replace("xlink:href", "href")
    # A marker takes its line's colour from where it is used: a page's style for the dark reaches no definition.
    body = re.sub(r'(<path id="[^"]*" d="[^"]*" style=")stroke: [^;"]*;? ?', r"\1", body)
    body = body.replace(INK, "currentColor").replace(PAPER, "var(--pst-color-background, Canvas)")
    body = re.sub(r"\n\s*", " ", body)
    # Ids that something points to are counted, the others go, and hundredths of a point are enough: matplotlib hashes
    # lengths whose last bits a layout leaves open, and the bytes would change with them.
    lengths = r' (?:d|x|y|width|height|transform|style)="[^"]*"'
    body = re.sub(lengths, lambda found: re.sub(r"(\d\.\d\d)\d+", r"\1", found[0]), body)
    used = {old: n for n, old in enumerate(dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^)"]+)', body)))}
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{used[m[1]]}"' if m[1] in used else "", body)
    body = re.sub(r'(url\(#|href="#)([^)"]+)', lambda m: f"{m[1]}{used[m[2]]}", body)
    # The figure's own prefix, so that two figures on a page never clash.
    prefix = "fig" + hashlib.sha256(f"{caption}\0{alt}\0{body}".encode()).hexdigest()[:10]
    body = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
    style = "stroke-linejoin: round; stroke-linecap: butt; width: 100%; max-width: 36rem; height: auto"
    return f'<svg viewBox="{view}" role="img" aria-label="{escape(alt)}" style="{style}">{body}'


def _named_points(line: re.Match) -> str:
    """A line's markers, each with the mask that it stands for, so that a page can bring forward all of one mask."""
    names = iter(line[1].split("|"))
    return re.sub(r"<use ", lambda _: f'<use data-mae-mask="{next(names)}" ', line[0])


def figure_html(fig: Figure, caption: str, alt: str) -> str:
    """The figure as HTML: `<figure class="mae-figure">` with an inline SVG and its caption; the same bytes every time.

    Raises ValueError without a caption, or without an alternative text for those who do not see the figure.
    """
    for what, text in (("caption", caption), ("alt", alt)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{what} is empty: say in a sentence what the figure shows")
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    # The caption is escaped too: prose with markup belongs in the page, not in the code.
    words = f"<figcaption>{escape(caption)}</figcaption>"
    drawn = _inline(buffer.getvalue(), caption, alt).replace("<svg ", f"<svg {_rows(fig)}", 1)
    return f'<figure class="mae-figure">{drawn}{words}</figure>'


def _rows(fig: Figure) -> str:
    """Where plots that stand one above the other can be cut apart, for slides: `data-mae-rows`, the tops of all rows.

    `data-mae-foot` is where the names of an axis begin that all rows share. In the units of the view box, from its top.
    """
    placed = [axis for axis in fig.axes if axis.get_subplotspec()]
    ends: dict[int, list[tuple[float, float]]] = {}
    for axis in placed:
        extent, row = axis.get_tightbbox(), axis.get_subplotspec().rowspan.start
        ends.setdefault(row, []).append((fig.bbox.height - extent.y1, fig.bbox.height - extent.y0))
    rows = [(min(top for top, _ in some), max(low for _, low in some)) for _, some in sorted(ends.items())]
    if len(rows) < 2:
        return ""
    tops = [0.0, *((low + top) / 2 for (_, low), (top, _) in pairwise(rows))]
    found = f'data-mae-rows="{" ".join(f"{72 / fig.dpi * y:.1f}" for y in tops)}" '
    first, last = placed[0], placed[-1]
    if first.get_shared_x_axes().joined(first, last) or not any(text.get_text() for text in first.get_xticklabels()):
        names = [text.get_window_extent().y1 for text in last.get_xticklabels() if text.get_text()]
        foot = fig.bbox.height - max(names, default=0)
        found += f'data-mae-foot="{72 / fig.dpi * foot:.1f}" '
    return found


def show(
    fig: Figure,
    caption: str,
    alt: str,
    name: str | None = None,
    data: pd.DataFrame | None = None,
) -> None:
    """Display a figure in a notebook, with a caption and an alternative text, and hand over what the book adds to it.

    `name`, one on its page, is what links point to. `data` is the table that the figure shows; by default those that
    were drawn by `ratio_curve` and others that `remember`. Raises ValueError when a text is empty.
    """
    html = figure_html(fig, caption, alt)
    plt.close(fig)  # a figure of pyplot's would be shown again at the end of the cell
    emit(FIGURE, {"name": name, "csv": figure_csv(fig, data)}, html)


def remember(ax: Axes, table: pd.DataFrame) -> None:
    """Let a table go with the figure in which `ax` shows it."""
    ax.mae_data = [*getattr(ax, "mae_data", ()), table]


def figure_csv(fig: Figure, data: pd.DataFrame | None = None) -> str:
    """`data`, or what the axes of a figure remember, as CSV with five significant digits; empty where that is nothing.

    Of several axes each row says, in a column `panel`, what its own are called.
    """
    if data is None:
        held = [(ax, table) for ax in fig.axes for table in getattr(ax, "mae_data", ())]
        many = len({ax for ax, _ in held}) > 1
        tables = [table.assign(panel=_called(ax)) if many else table for ax, table in held]
        data = pd.concat(tables) if tables else pd.DataFrame()
    named = any(data.index.names)
    return "" if data.empty else data.to_csv(index=named, float_format="%.5g", lineterminator="\n")


def _called(ax: Axes) -> str:
    return ax.get_title(loc="left") or ax.get_title() or ax.get_ylabel()


def data_url(csv: str) -> str:
    """A CSV as an address that holds it, so that a page can offer it with nothing to load."""
    return "data:text/csv;charset=utf-8," + quote(csv, safe=",.-+:;=()/_~!*'")


def summarise(table: pd.DataFrame, x: str, y: str = "value", confidence: float = 0.95) -> pd.DataFrame:
    """Mean of `y` at each `x` with its interval: columns `x`, `mean`, `low`, `high`, `count`.

    The interval is over seeds, or over images where there is one seed; else NaN. Where the table names one metric, the
    interval of a score keeps to the score's bounds. Where every value is NaN, so is all of the row.
    """
    basis, names = basis_of(table), table["metric"].unique() if "metric" in table else ()
    within = bounds(names[0]) if len(names) == 1 else EVERYWHERE
    if not table[y].dropna().between(*within).all():  # a difference of scores under the score's name
        within = EVERYWHERE

    def at(rows: pd.DataFrame) -> Interval:
        if rows[y].isna().all():  # what a world does not let one measure leaves a gap
            return Interval(np.nan, np.nan, np.nan, 0)
        if basis == "images":
            return bootstrap_interval(rows[y], confidence)
        over_seeds = basis in ("seeds", "seeds and images")
        means = rows.groupby("seed")[y].mean() if over_seeds else [rows[y].mean()]
        return mean_interval(means, confidence, within)

    rows = [(point, *at(group)) for point, group in table.groupby(x)]
    return pd.DataFrame(rows, columns=[x, *Interval._fields])


def _groups(table: pd.DataFrame, by: str | None) -> list[tuple[str | None, pd.DataFrame]]:
    return [(None, table)] if by is None else [(str(key), rows) for key, rows in table.groupby(by, sort=False)]


def spread(mean: pd.DataFrame) -> np.ndarray | None:
    """How far the bars of a `summarise` reach, down and up, (2, points); None where one seed or image has none."""
    reach = np.nan_to_num([mean["mean"] - mean["low"], mean["high"] - mean["mean"]])
    return reach if reach.any() else None


def ratio_curve(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str = "value",
    by: str | None = None,
    first: int = 0,
    bars: bool = True,
) -> None:
    """Mean and interval of `y` against `x` ("ratio" or "unit"), one line for each value of `by`.

    `first` is the place of the first line in the order of markers, dashes and colours. Many lines that lie close are
    read better without `bars`. Mask units are spaced by their logarithm. Raises ValueError for more lines than markers.
    """
    groups = _groups(table, by)
    if first + len(groups) > len(MARKERS):
        count = first + len(groups)
        raise ValueError(f"{count} lines are more than the {len(MARKERS)} that can be told apart: draw fewer")
    for (label, rows), marker, dash, colour in zip(groups, MARKERS[first:], DASHES[first:], PALETTE[first:]):
        mean = summarise(rows, x, y)
        look = {"label": label, "marker": marker, "linestyle": dash, "color": colour, "capsize": 3, "lw": 1.6}
        line = ax.errorbar(mean[x], mean["mean"], spread(mean) if bars else None, **look).lines[0]
        remember(ax, mean if by is None else mean.assign(**{by: label}))
        name_points(line, x)
    if x == "unit":
        ax.set_xscale("log", base=2)
    points = sorted(table[x].unique())
    ax.set_xticks(points, [f"{point:g}" for point in points])
    ax.minorticks_off()
    ax.set(xlabel=AXES.get(x, x))
    if by is not None:
        ax.legend()


def name_points(line: Line2D, x: str) -> None:
    """Name the markers of a line against "ratio" or "unit" by their mask; see `maebook.linked`."""
    xs, ys = line.get_data()
    line.set_gid("points:" + "|".join(f"{x} {point:g}" for point, y in zip(xs, ys) if np.isfinite(y)))


def loss_curves(
    ax: Axes, histories: Mapping[str, Sequence[Mapping[str, float]]], x: str = "step", y: str = "loss"
) -> None:
    """A line for each run's log (a list of dicts, as `Run.history()` gives it), labelled; a few markers a line."""
    for i, (label, history) in enumerate(histories.items()):
        colour = PALETTE[i % len(PALETTE)]
        # A seventh run comes round to the first colour: hollow markers tell it apart.
        look = {"marker": MARKERS[i % len(MARKERS)], "color": colour, "mfc": colour if i < len(PALETTE) else PAPER}
        steps, losses = [row[x] for row in history], [row[y] for row in history]
        every = max(1, len(steps) // 5)
        ax.plot(steps, losses, label=label, lw=1.4, linestyle=DASHES[i % len(DASHES)], markevery=every, **look)
        remember(ax, pd.DataFrame({"run": label, x: steps, y: losses}))
    ax.set(xlabel=x, ylabel=y)
    ax.legend(ncols=2)


def _bytes(images: np.ndarray) -> np.ndarray:
    return images if images.dtype == np.uint8 else np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def tiled(rows: Sequence[ArrayLike], gap: int) -> np.ndarray:
    """Rows of images as one RGBA picture, the gaps between them transparent: uint8 (height, width, 4)."""
    arrays = [_bytes(np.asarray(row)) for row in rows]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 4 or arrays[0].shape[1] != 3:
        raise ValueError(f"rows have shapes {sorted(shapes)}: give each the same (columns, 3, H, W)")
    grid = np.stack(arrays)  # (rows, columns, 3, H, W)
    grid = np.concatenate([grid, np.full_like(grid[:, :, :1], 255)], axis=2)
    grid = np.pad(grid, [(0, 0)] * 3 + [(0, gap)] * 2)
    picture = grid.transpose(0, 3, 1, 4, 2)  # (rows, H, columns, W, 4)
    picture = picture.reshape(picture.shape[0] * picture.shape[1], -1, 4)
    return picture[:-gap, :-gap]


def image_grid(rows: Sequence[ArrayLike], row_labels: Sequence[str], column_labels: Sequence[str] = ()) -> Figure:
    """Images in rows, pixels crisp: each row (columns, 3, H, W), float in [0, 1] (clipped) or uint8.

    Raises ValueError for rows of different shapes, or labels that do not match their number.
    """
    columns, height, width = np.shape(rows[0])[0], *np.shape(rows[0])[2:]
    if len(row_labels) != len(rows) or len(column_labels) not in (0, columns):
        labels = f"{len(row_labels)} row and {len(column_labels)} column labels"
        raise ValueError(f"{labels} for {len(rows)} rows of {columns} images: give one each")
    gap = max(1, width // 16)
    cell = (WIDTH - 0.085 * max(map(len, row_labels))) / columns
    fig, ax = figure(height=cell * len(rows) * height / width + (0.3 if column_labels else 0.05))
    ax.imshow(tiled(rows, gap), interpolation="none")
    ax.set_anchor("E")  # what is too much room is left to the labels
    ax.set_yticks([r * (height + gap) + height / 2 for r in range(len(rows))], row_labels)
    centres = [c * (width + gap) + width / 2 for c in range(columns)] if column_labels else []
    ax.set_xticks(centres, column_labels)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return fig
