"""Does a longer schedule explain a difference? Two published runs that differ in nothing else, side by side."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from mae_lib.evaluation.intervals import Interval, mean_interval
from mae_lib.presets import SERIES_RATIO
from mae_lib.reporting.more_seeds import of_scales, say
from mae_lib.reporting.plots import figure, ratio_curve, show
from mae_lib.reporting.publish import different
from mae_lib.reporting.published import Published, published


def schedules(scales: Sequence[Published]) -> tuple[Published, Published] | None:
    """Two published runs that differ in nothing but how many images they saw, the shorter first; None without."""
    for short in scales:
        for long in scales:
            images = {"images": short.series.scale["images"]}
            same = not different({"scale": short.series.scale}, {"scale": long.series.scale | images})
            if same and long.series.scale["images"] > short.series.scale["images"]:
                return short, long
    return None


def schedule_gains(short: Published, long: Published, metric: str, section: str = "separability") -> pd.DataFrame:
    """What the longer schedule adds, seed by seed, to the seeds that both have: columns ratio, seed and value."""
    both = {name: of_scales([one], section, metric, "ratio") for name, one in (("short", short), ("long", long))}
    joined = both["long"].merge(both["short"], on=["ratio", "seed"], suffixes=("", "_short"))
    return joined.assign(value=joined["value"] - joined["value_short"])[["ratio", "seed", "value"]]


def best_ratio(table: pd.DataFrame) -> float:
    """The ratio with the highest mean over seeds, of a table with columns ratio and value."""
    return float(table.groupby("ratio")["value"].mean().idxmax())


def schedule_findings(short: pd.DataFrame, long: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """What two schedules say of the best ratio, in sentences that come from the numbers.

    `short` and `long` hold one metric (columns ratio, seed, value), `gains` their differences by seed. Only the ratios
    that both have are compared.
    """
    before, after = (best_ratio(table[table["ratio"].isin(set(gains["ratio"]))]) for table in (short, long))
    among = ", ".join(f"{ratio:g}" for ratio in sorted(set(gains["ratio"])))
    found = [f"Of {among}, the best ratio is {before:g} after the shorter schedule, {after:g} after the longer one."]
    by = gains.pivot(index="seed", columns="ratio", values="value")
    for ratio in by:
        gained = mean_interval(by[ratio])
        found.append(f"Ratio {ratio:g} gains {_signed(gained)}.")
    if SERIES_RATIO not in by:
        return found
    if before == SERIES_RATIO:
        return [*found, f"Ratio {SERIES_RATIO:g} leads before and has nothing to catch up with."]
    lead = mean_interval(by[SERIES_RATIO] - by[before])
    if lead.low > 0:
        said = "gains more, so the short schedule explains a part of its place"
    elif lead.high < 0:
        said = "gains less, so the short schedule does not explain its place"
    else:
        said = "gains neither clearly more nor clearly less, so the schedule is not shown to explain its place"
    return [*found, f"Beside ratio {before:g}, ratio {SERIES_RATIO:g} {said}: the difference is {_signed(lead)}."]


def _signed(interval: Interval) -> str:
    if np.isnan(interval.low):
        return f"{interval.mean:+.3f} (one seed)"
    return f"{interval.mean:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def show_schedules(metrics: Mapping[str, str], section: str = "separability") -> None:
    """Show what a longer schedule adds at every ratio (metric -> label), and what the first metric says of the best.

    Without two published runs that differ in the schedule alone, one sentence says so.
    """
    pair = schedules(published())
    if pair is None:
        return say("No two published runs differ in their schedule alone, so this is not tested yet.")
    short, long = pair
    counts = [f"{one.series.scale['images']:,}" for one in pair]
    gains = pd.concat([schedule_gains(*pair, metric, section).assign(of=label) for metric, label in metrics.items()])
    drawing, axis = figure(height=3.0)
    ratio_curve(axis, gains, "ratio", by="of")
    axis.axhline(0, lw=0.8, color="0.5")
    axis.set(ylabel="gain")
    show(
        drawing,
        caption=f"What going from {counts[0]} to {counts[1]} images a run adds at each mask ratio, seed by seed "
        f"({gains['seed'].nunique()} seeds of {long.name} and {short.name}). Bars are 95% intervals over seeds.",
        alt=f"One plot against the mask ratio with a line for each of {', '.join(metrics.values())}: the gain of the "
        "longer schedule. The sentences below hold the numbers.",
    )
    tables = [of_scales([one], section, next(iter(metrics)), "ratio") for one in pair]
    first = gains[gains["of"] == next(iter(metrics.values()))]
    sentences = " ".join(schedule_findings(*tables, first))
    say(f"<strong>{escape(next(iter(metrics.values())))}.</strong> {escape(sentences)}")
