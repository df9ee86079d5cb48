"""Does a longer schedule change which ratio probes best? The same masks and seeds, trained on fewer images.

The preset's own schedule is the longest; its runs are those of Section 3, published with it.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mae_lib.folders import published_folder
from mae_lib.metrics.robustness import SETS
from mae_lib.presets import load_scale
from mae_lib.studies.results import Results
from mae_lib.studies.scores import measure, section_of
from mae_lib.studies.series import Series
from mae_lib.tables import published_table
from mae_lib.training.checkpoints import read_json

COLUMNS = ("images", "ratio", "seed", "metric", "value", "count")
RATIOS = (0.5, 0.75, 0.9)  # among which the best one lies
TIMES = (0.25, 0.5)  # of the images that the preset itself shows


def measured_schedules(preset: str | Path, seeds: Sequence[int], device: str | None = None) -> pd.DataFrame:
    """Train what is missing and probe it on the six sets: a row for each length, ratio, seed and set, as means."""
    scale, rows = load_scale(preset), []
    for seed in seeds:
        for images in (int(times * scale["images"]) for times in TIMES):
            series = Series.of(preset, list(RATIOS), [scale["unit"]], [seed], {"images": images})
            series.train(device)
            section = section_of("separability", series)
            for mask in series.by("ratio"):
                scores = measure(section, series, mask, device)
                held = {metric: scores[metric] for metric in SETS if metric in scores}
                rows += [(images, mask[0], seed, metric, of.mean(), len(of)) for metric, of in held.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def by_schedule(metric: str) -> pd.DataFrame:
    """The published table of one set, with the runs of the preset's own schedule: tidy, a mean for each seed.

    Raises ValueError where one of the two is not published.
    """
    table = published_table("schedules")
    preset = read_json(published_folder() / "schedules.json")["parameters"]["preset"]
    return beside(table[table["metric"] == metric], Results.open(published_folder() / preset))


def beside(schedules: pd.DataFrame, results: Results) -> pd.DataFrame:
    """`schedules` of one metric, and what `results` holds of the same metric, ratios and seeds."""
    scores = {mask: one for mask, one in results.scores("separability").items() if mask in results.series.configs}
    own = results.series.tidy("ratio", scores)
    own = own[own["ratio"].isin(RATIOS) & own["seed"].isin(schedules["seed"]) & own["metric"].isin(schedules["metric"])]
    return pd.concat([schedules, own.assign(images=results.series.scale["images"], count=schedules["count"].iloc[0])])


def high_over_low(table: pd.DataFrame) -> pd.DataFrame:
    """What the highest ratio scores over the lowest: a row for each length and seed, for a claim's rule."""
    wide = table.pivot_table("value", ["images", "seed"], "ratio")
    gained = wide[RATIOS[-1]] - wide[RATIOS[0]]
    return gained.rename("value").reset_index().assign(metric=f"{RATIOS[-1]:g} over {RATIOS[0]:g}")
