"""Does a longer schedule explain a difference? Two published runs that differ in nothing else, side by side.

Both of the paper's series are compared, by mask ratio and by mask unit, each as far as both runs hold it.
"""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from mae_lib.metrics.intervals import Interval, mean_interval
from mae_lib.presets import SERIES_RATIO
from mae_lib.studies.publish import different
from mae_lib.studies.results import Results, published
from maebook.figures import figure, ratio_curve, show
from maebook.published_runs import of_scales, say


def schedules(scales: Sequence[Results]) -> tuple[Results, Results] | None:
    """Two published runs that differ in nothing but how many images they saw, the shorter first; None without."""
    for short in scales:
        for long in scales:
            images = {"images": short.series.scale["images"]}
            same = not different({"scale": short.series.scale}, {"scale": long.series.scale | images})
            if same and long.series.scale["images"] > short.series.scale["images"]:
                return short, long
    return None


def schedule_gains(short: Results, long: Results, section: str, metric: str, x: str) -> pd.DataFrame:
    """What the longer schedule adds, seed by seed, to the seeds that both have: columns `x`, seed and value."""
    both = {name: of_scales([one], section, metric, x) for name, one in (("short", short), ("long", long))}
    joined = both["long"].merge(both["short"], on=[x, "seed"], suffixes=("", "_short"))
    return joined.assign(value=joined["value"] - joined["value_short"])[[x, "seed", "value"]]


def schedule_findings(short: pd.DataFrame, long: pd.DataFrame, gains: pd.DataFrame, x: str, own: float) -> list[str]:
    """What two schedules say of one metric along a series, in sentences that come from the numbers.

    `short` and `long` hold the metric (columns `x`, seed, value), higher being more of it; `gains` their differences by
    seed. Only the ratios, or units, that both have are compared. `own` is the one whose place is to be explained.
    """
    shared = set(gains[x])
    means = [table[table[x].isin(shared)].groupby(x)["value"].mean() for table in (short, long)]
    before, after = (list(mean.sort_values(ascending=False, kind="stable").index) for mean in means)
    first, then = (", ".join(f"{point:g}" for point in order) for order in (before, after))
    where = "after both schedules" if first == then else f"after the shorter schedule, and {then} after the longer one"
    found = [f"From the highest mean down, the {_SERIES[x]}s are {first} {where}."]
    by = gains.pivot(index="seed", columns=x, values="value")
    found += [f"{_named(x, point).capitalize()} gains {_signed(mean_interval(by[point]))}." for point in by]
    top = before[0]
    if own not in shared:
        return found
    ours, theirs = _named(x, own), _named(x, top)
    if top == own:
        return [*found, f"{ours.capitalize()} leads before and has nothing to catch up with."]
    wide = short.pivot(index="seed", columns=x, values="value")
    behind = mean_interval(wide[top] - wide[own])
    if not behind.low > 0:
        said = f"after the shorter schedule it is not clearly behind {theirs}, by {_signed(behind)}"
        return [*found, f"Whether {ours} catches up cannot be told: {said}."]
    caught = mean_interval(by[own] - by[top])
    if caught.low > 0 and means[1][own] > means[1][top]:
        said = "gains more and then leads, so the short schedule explains its place"
    elif caught.low > 0:
        said = "gains more and stays behind, so the short schedule explains a part of its place"
    elif caught.high < 0:
        said = "gains less, so the short schedule does not explain its place"
    else:
        said = "gains neither clearly more nor clearly less, so the schedule is not shown to explain its place"
    lead = f"{ours.capitalize()} is behind {theirs} by {_signed(behind)} after the shorter schedule."
    return [*found, f"{lead} Beside {theirs} it {said}: the difference is {_signed(caught)}."]


_SERIES = {"ratio": "mask ratio", "unit": "mask unit"}


def _named(x: str, point: float) -> str:
    return f"{x} {point:g}{' px' * (x == 'unit')}"


def _signed(interval: Interval) -> str:
    if np.isnan(interval.low):
        return f"{interval.mean:+.3f} (one seed)"
    return f"{interval.mean:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def show_schedules(metrics: Mapping[str, str], section: str = "separability") -> None:
    """Show what a longer schedule adds by ratio and by unit (metric -> label), and what the first metric says of each.

    A series of which both runs have one mask alone is left out. Without two published runs that differ in the schedule
    alone, one sentence says so. What is explained is the place of ratio 0.75 and of the scale's own unit.
    """
    pair = schedules(published(section))
    gains = {}
    for x in _SERIES if pair else ():
        tables = [schedule_gains(*pair, section, metric, x).assign(of=label) for metric, label in metrics.items()]
        together = pd.concat(tables)
        if together[x].nunique() > 1:
            gains[x] = together
    if not gains:
        return say("No two published runs differ in their schedule alone, so this is not tested yet.")
    short, long = pair
    counts = [f"{one.series.scale['images']:,}" for one in pair]
    seeds = max(table["seed"].nunique() for table in gains.values())
    over = " and ".join(_SERIES[x] for x in gains)
    drawing, axes = figure(1, len(gains), height=3.0, sharey="row", squeeze=False)
    for axis, (x, table) in zip(axes[0], gains.items()):
        ratio_curve(axis, table, x, by="of")
        axis.get_legend().remove()
        axis.axhline(0, lw=0.8, color="0.5")
    axes[0, 0].set_ylabel("gain")
    drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(metrics))
    show(
        drawing,
        caption=f"What going from {counts[0]} to {counts[1]} images a run adds, by {over}, seed by seed "
        f"({seeds} seeds of {long.name} and {short.name}). Bars are 95% intervals over seeds. "
        "What is said of one schedule alone is over all of its seeds.",
        alt=f"A plot by {over}, with a line for each of {', '.join(metrics.values())}: the gain of the "
        "longer schedule. The sentences below hold the numbers.",
    )
    metric, label = next(iter(metrics.items()))
    own = {"ratio": SERIES_RATIO, "unit": short.series.scale["unit"]}
    for x, table in gains.items():
        tables = [of_scales([one], section, metric, x) for one in pair]
        sentences = " ".join(schedule_findings(*tables, table[table["of"] == label], x, own[x]))
        say(f"<strong>{escape(label[0].upper() + label[1:])}, by {_SERIES[x]}.</strong> {escape(sentences)}")
