"""The same claims with more seeds and at other scales: what has been published, beside a page's own run.

Means are over seeds with Student's t intervals. A scale is one published folder; nothing is shown where there is none.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import product
from typing import Any

import pandas as pd
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mae_lib.claims.claims import ICONS, Verdict, load_claims, load_paper, paper_table
from mae_lib.studies.results import SECTION_OF, Results, published
from maebook import bits_beside
from maebook.figures import figure, ratio_curve, show
from maebook.verdict_box import in_words

_COMMAND = {"detection": "detect"}  # that measures a section, where `series` does not


PAPER, HERE = "the paper", "this build"


def more_seeds(
    page: str,
    *groups: Mapping[str, str],
    here: Mapping[str, pd.DataFrame] | None = None,
    bits: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Show what is published on a page's claims: a figure for each group (metric -> label), then the verdicts.

    `page` is the notebook, "3_1_reconstruction". `here` holds what the page itself has measured, a tidy table by
    "ratio" and by "unit", which is drawn beside the rest; so is the paper where it prints a metric. Each line is marked
    with its scale, so that the book can bring one forward. `bits`, as `top_bits` gives them, make a row of their own at
    the bottom. Without published results one sentence says so.
    """
    scales = published(SECTION_OF[page])
    if not scales:
        return say(none_yet(SECTION_OF[page]))
    what = "; ".join(map(described, scales))
    for metrics in groups:
        tables = {x: lines_of(scales, SECTION_OF[page], metrics, x, (here or {}).get(x)) for x in ("ratio", "unit")}
        names = [PAPER, HERE] if here is not None else [PAPER]
        beside = [name for name in names if any(name in set(table["scale"]) for table in tables.values())]
        also = f" Beside them: {' and '.join(beside)}." if beside else ""
        show(
            curves(tables, metrics, bits),
            caption=f"The published runs, by mask ratio and by mask unit: {what}.{also} "
            "Bars are 95% intervals over seeds." + (f" {bits_beside.CAPTION}" if bits else ""),
            alt=f"Small plots in {len(metrics)} rows of two, against the mask ratio and the mask unit, with a line for "
            f"each scale: {', '.join([*(one.name for one in scales), *beside])}. Rows: {', '.join(metrics.values())}."
            + (f" {bits_beside.ALT}" if bits else ""),
            switch=True,
        )
    display(HTML(verdicts_html(page, scales)))


def none_yet(section: str) -> str:
    """What stands where nothing of a section is published, and the command that makes it, as HTML."""
    made = f"<code>python -m mae_lib {_COMMAND.get(section, 'series')}</code> makes them"
    return f"No longer runs of this section are published yet; {made}."


def say(sentence: str) -> None:
    """A sentence, as HTML, in the page's own colours."""
    display(HTML(f'<p class="mae-said">{sentence}</p>'))


def labelled(one: Results) -> str:
    """A scale in a legend: "laptop, 100k images"."""
    return f"{one.name}, {one.series.scale['images'] / 1000:,.4g}k images"


def described(one: Results) -> str:
    """A scale in words: "laptop, 100,000 images a run, 5 seeds"."""
    seeds = len({seed for _, _, seed in one.series.configs})
    return f"{one.name}, {one.series.scale['images']:,} images a run, {seeds} seed{'s' * (seeds > 1)}"


def lines_of(
    scales: Sequence[Results], section: str, metrics: Mapping[str, str], x: str, here: pd.DataFrame | None = None
) -> pd.DataFrame:
    """All that is known of some metrics by `x`, tidy: columns `x`, seed, metric, value, scale and key.

    `scale` names a line in the legend, `key` is what the page knows it by ("cpu", "this build", "the paper").
    """
    pairs = product(scales, metrics)
    tables = [of_scales([one], section, metric, x).assign(metric=metric, key=one.name) for one, metric in pairs]
    if here is not None:
        means = here[here["metric"].isin(metrics)].groupby([x, "seed", "metric"], as_index=False)["value"].mean()
        tables.append(means.assign(scale=HERE, key=HERE))
    for name, content in load_paper().items():
        if x in content["series"] and set(content["columns"]) & set(metrics):
            printed = paper_table(name, x)
            share = 100 if "%" in content["title"] else 1
            printed["value"] /= share
            tables.append(printed[printed["metric"].isin(metrics)].assign(scale=PAPER, key=PAPER, seed=0))
    return pd.concat(tables, ignore_index=True)


def curves(
    tables: Mapping[str, pd.DataFrame], metrics: Mapping[str, str], bits: Mapping[str, pd.DataFrame] | None = None
) -> Figure:
    """A row of two plots for each metric, by ratio and by unit, with a line for each scale of `lines_of`.

    With `bits`, one row more for them.
    """
    count = len(metrics) + bool(bits)
    drawing, axes = figure(count, 2, height=1.45 * count + 0.9, sharex="col", sharey="row", squeeze=False)
    keys = list(dict.fromkeys(key for table in tables.values() for key in table["key"]))
    handles: dict[str, Any] = {}
    for pair, (metric, label) in zip(axes, metrics.items()):
        for axis, (x, table) in zip(pair, tables.items()):
            rows = table[table["metric"] == metric]
            for key in keys:  # a look for each scale, the same in every plot, also where one is missing
                _line(axis, rows[rows["key"] == key], x, key, keys.index(key))
            points = sorted(rows[x].unique())
            axis.set_xticks(points, [f"{point:g}" for point in points])
            axis.set_xlabel(axis.get_xlabel() if metric == list(metrics)[-1] else "")
            handles |= {bars.get_label(): bars for bars in axis.containers}
        pair[0].set_title(label, loc="left")
    if bits:
        bits_beside.bits_row(axes, bits)
    drawing.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2)
    return drawing


def _line(axis: Axes, rows: pd.DataFrame, x: str, key: str, number: int) -> None:
    """One scale's line, its parts marked with its key."""
    if rows.empty:
        return
    ratio_curve(axis, rows, x, by="scale", first=number)
    axis.get_legend().remove()
    line, caps, bars = axis.containers[-1].lines
    for part in (line, *caps, *bars):
        part.set_gid(f"scale:{key}")


def of_scales(scales: Sequence[Results], section: str, metric: str, x: str) -> pd.DataFrame:
    """One metric at every scale that has it, tidy: columns `x` ("ratio" or "unit"), seed, value and scale."""
    tables = [pd.DataFrame(columns=[x, "seed", "metric", "value", "scale"])]
    for one in scales:
        scores = one.scores(section)
        kept = {mask: {k: v for k, v in scores[mask].items() if k == metric} for mask in one.series.by(x)}
        if any(kept.values()):  # a world may lack what another has: drawings have no parts
            tables.append(one.series.tidy(x, kept).assign(scale=labelled(one)))
    return pd.concat(tables[1:] or tables)


def verdict_cell(verdict: Verdict | None) -> str:
    """A verdict in a table: icon and word, None for what has not been run. A narrow screen shows the icon alone."""
    verdict = verdict or Verdict("", "not run", "")
    mark = '<sup class="mae-once" aria-hidden="true">1</sup>' if verdict.one_seed else ""
    return f'{ICONS[verdict.verdict]}{mark}<span class="mae-word"> {in_words(verdict)}</span>'


def verdicts_html(page: str, scales: Sequence[Results]) -> str:
    """The claims of a page with their verdict at each published scale, as a compact table; why is in a hover text."""
    verdicts = {one.name: one.verdicts() for one in scales}
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("claim", *verdicts))
    rows = []
    for claim in load_claims().values():
        if claim.notebook == page:
            found = [verdicts[name][claim.id] for name in verdicts]
            cells = "".join(f'<td title="{escape(v.why)}">{verdict_cell(v)}</td>' for v in found)
            rows.append(f'<tr><th scope="row">{escape(claim.claim)}</th>{cells}</tr>')
    return (
        '<div class="mae-ledger mae-scales"><p class="mae-title"><strong>Verdicts of the published runs</strong></p>'
        f'<div class="mae-scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></div>"
    )
