"""Does a longer schedule change which ratio probes best? The same masks and seeds, trained to the end on fewer images
and on more.

The runs of the preset's own schedule are those of Section 3, published with their scores over training.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mae_lib.folders import published_folder
from mae_lib.presets import load_scale
from mae_lib.studies.published_files import CURVES
from mae_lib.studies.scores import section_of
from mae_lib.studies.series import Series
from mae_lib.tables import published_table
from mae_lib.training.checkpoints import read_json

RATIOS = (0.5, 0.75, 0.9)  # among which the best one lies
TIMES = (0.25, 0.5, 2)  # as many images as the preset itself shows


def measured_schedules(
    preset: str | Path, seeds: Sequence[int], device: str | None = None, there: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Train what is missing and probe it when finished, as models on their way are probed: rows as in `curves.csv`.

    What `there` has already, rows of the same scale, stays as it is and is not trained.
    """
    scale = load_scale(preset)
    lengths = [int(times * scale["images"]) for times in TIMES]
    rows = pd.DataFrame(columns=CURVES) if there is None else there
    for seed, images in ((seed, images) for seed in seeds for images in lengths):
        had = rows.query("seed == @seed and images == @images")["ratio"].tolist()
        if missing := [ratio for ratio in RATIOS if ratio not in had]:
            rows = pd.concat([rows, _finished(preset, missing, seed, images, device)], ignore_index=True)
    return rows.sort_values(["seed", "images", "ratio"], ignore_index=True)


def _finished(preset: str | Path, ratios: list[float], seed: int, images: int, device: str | None) -> pd.DataFrame:
    series = Series.of(preset, ratios, [load_scale(preset)["unit"]], [seed], {"images": images})
    section = section_of("separability", series)
    runs = {mask: run for mask, run in series.train(device).items() if mask in series.by("ratio")}
    scores = {mask: section.on_the_way(run.load()) for mask, run in runs.items()}
    rows = [
        (*mask, images, metric, of.mean(), len(of)) for mask, found in scores.items() for metric, of in found.items()
    ]
    return pd.DataFrame(rows, columns=CURVES)


def by_schedule() -> pd.DataFrame:
    """The published table with the finished models of the preset's own schedule, of the same masks and seeds.

    Empty where no table is published. Raises ValueError where the preset's runs are not.
    """
    if not (published_folder() / "schedules.json").is_file():
        return pd.DataFrame(columns=CURVES)
    preset = read_json(published_folder() / "schedules.json")["parameters"]["preset"]
    return beside(published_table("schedules"), published_table(f"{preset}/curves"))


def beside(schedules: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """`schedules` and what `curves` end with, for the same masks, seeds and metrics."""
    same = ["ratio", "unit", "seed", "metric"]
    finished = curves[curves["images"] == curves["images"].max()]
    return pd.concat([schedules, finished.merge(schedules[same].drop_duplicates(), on=same)], ignore_index=True)


def high_over_low(table: pd.DataFrame) -> pd.DataFrame:
    """What the highest ratio scores over the lowest: a row for each length and seed, for a claim's rule."""
    wide = table.pivot_table("value", ["images", "seed"], "ratio")
    gained = wide[RATIOS[-1]] - wide[RATIOS[0]]
    return gained.rename("value").reset_index().assign(metric=f"{RATIOS[-1]:g} over {RATIOS[0]:g}")
