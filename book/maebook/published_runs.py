"""What published runs are called on a page, a verdict in a table, and who reads the class in all of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mae_lib.claims.claims import ICONS, Verdict
from mae_lib.studies.results import Results, published
from maebook.calibration import image_sets
from maebook.verdict_box import in_words

PAPER, HERE = "the paper", "this build"
_NAMES = {"pixels": "mean colours of patches"}  # what a probe reads where there is no encoder


def described(one: Results) -> str:
    """A published run in words: "results/desk, 300,000 images a run, 3 seeds"."""
    seeds = len({seed for _, _, seed in one.series.configs})
    folder = f"{one.directory.parent.name}/{one.name}"  # the name alone may be taken for a preset's
    return f"{folder}, {one.series.scale['images']:,} images a run, {seeds} seed{'s' * (seeds > 1)}"


def verdict_cell(verdict: Verdict | None) -> str:
    """A verdict in a table: icon and word, None for what has not been run. A narrow screen shows the icon alone."""
    verdict = verdict or Verdict("", "not run", "")
    mark = '<sup class="mae-once" aria-hidden="true">1</sup>' if verdict.one_seed else ""
    return f'{ICONS[verdict.verdict]}{mark}<span class="mae-word"> {in_words(verdict)}</span>'


def readers_table() -> pd.DataFrame:
    """Who reads the class, a column for each published run, the longest first and superseded ones last, and a row for
    each encoder at the run's own unit.

    Accuracy of a linear probe, and of twenty neighbours on pixels, as a mean over seeds with their range: "0.43
    (0.42-0.44)"; of a supervised encoder also as it was when the images were calibrated. What was not measured is "-".
    """
    columns, sets = {}, image_sets()
    for one in sorted(published("separability"), key=lambda one: (bool(one.superseded), -one.series.scale["images"])):
        scores, found = one.scores("separability"), {}
        for reader, of in scores.items():
            if len(reader) < 3 or reader[1] == one.series.scale["unit"]:
                name = f"r = {reader[0]:g}" if len(reader) == 3 else _NAMES.get(reader[0], reader[0])
                found.setdefault(name, []).append(of.get("class probe"))
        found["mean colours, neighbours"] = [scores.get(("pixels",), {}).get("class by neighbours")]
        world, options = one.series.scale["world"], one.series.scale["world_options"]
        alike = [each.accuracy for each in sets if (each.world, each.options) == (world, options)]
        alike = [accuracy["supervised"] for accuracy in alike if "supervised" in accuracy]
        about = f"{world}: {described(one)}{' (superseded)' * one.superseded}"
        column = {name: _with_range([v for v in values if v is not None]) for name, values in found.items()}
        if alike:
            column.setdefault("supervised", f"{_with_range(alike)} (calibration)")
        columns[about] = column
    baselines = [*_NAMES.values(), "mean colours, neighbours", "untrained", "supervised"]
    ratios = sorted({name for column in columns.values() for name in column if name.startswith("r = ")})
    return pd.DataFrame(columns).reindex([*baselines, *ratios]).fillna("-")


def _with_range(values: Sequence[float]) -> str:
    if not values:
        return "-"
    low, mean, high = (f"{of(values):.2f}" for of in (np.min, np.mean, np.max))
    return mean if len(values) == 1 else f"{mean} ({low}-{high})"
