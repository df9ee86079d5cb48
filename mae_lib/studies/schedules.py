"""Does a longer schedule change which ratio probes best? The same masks and seeds, trained to the end on fewer images
and on more.

The runs of the preset's own schedule are those of Section 3, published with their scores over training.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mae_lib.folders import published_folder
from mae_lib.presets import load_preset, load_scale
from mae_lib.studies.curves import curve
from mae_lib.studies.published_files import CURVES
from mae_lib.studies.scores import section_of
from mae_lib.studies.series import Series
from mae_lib.tables import published_table
from mae_lib.training.checkpoints import read_json
from mae_lib.training.hardware import Hardware
from mae_lib.training.pretrain import pretrain

RATIOS = (0.5, 0.75, 0.9)  # among which the best one lies
TIMES = (0.25, 0.5, 2, 4, 8, 16)  # of the preset's own images
SCHEDULES = {f"schedules/{times:g}x": times for times in TIMES}
LONGEST = {8: (0.75, 0.9), 16: (0.75,)}  # which gained most at the doublings before


def measured_schedule(
    times: float, preset: str | Path, seeds: Sequence[int], device: str | None = None
) -> pd.DataFrame:
    """Train what is missing and probe it when finished, as intermediate models are probed: rows as in `curves.csv`."""
    scale, rows = load_scale(preset), []
    images = int(times * scale["images"])
    for seed in seeds:
        series = Series.of(preset, list(LONGEST.get(times, RATIOS)), [scale["unit"]], [seed], {"images": images})
        section = section_of("separability", series)
        for mask, run in series.train(device).items():
            if mask in series.by("ratio"):
                scores = section.on_the_way(run.load())
                rows += [(*mask, images, metric, of.mean(), len(of)) for metric, of in scores.items()]
    return pd.DataFrame(rows, columns=CURVES)


def by_schedule() -> pd.DataFrame:
    """The published tables with the finished models of the preset's own schedule, of the same masks and seeds.

    Empty where no table is published. Raises ValueError where the preset's runs are not.
    """
    names = _published()
    if not names:
        return pd.DataFrame(columns=CURVES)
    curves = published_table(f"{_parameters(names[0])['preset']}/curves")
    return beside(pd.concat(map(published_table, names)), curves)


def _published() -> list[str]:
    return [name for name in SCHEDULES if (published_folder() / f"{name}.json").is_file()]


def _parameters(name: str) -> dict:
    return read_json(published_folder() / f"{name}.json")["parameters"]


def beside(schedules: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """`schedules` and what `curves` end with, for the same masks, seeds and metrics."""
    same = ["ratio", "unit", "seed", "metric"]
    finished = curves[curves["images"] == curves["images"].max()]
    both = pd.concat([schedules, finished.merge(schedules[same].drop_duplicates(), on=same)])
    return both.sort_values(["images", "seed", "ratio"], ignore_index=True)


def measured_curves(preset: str | Path, seeds: Sequence[int], device: str | None = None) -> pd.DataFrame:
    """Train every ratio of a preset and probe each model on its way and at its end: rows as in `curves.csv`."""
    rows = []
    for seed in seeds:
        series = Series.from_parameters(load_preset(preset) | {"seeds": [seed]})
        section = section_of("separability", series)
        for mask in series.by("ratio"):
            pretrain(series.configs[mask], hardware=Hardware(device), snapshots=series.scale.get("snapshots", 0))
            for images, scores in curve(section, series, mask, device or "cpu").items():
                rows += [(*mask, images, metric, of.mean(), len(of)) for metric, of in scores.items()]
    return pd.DataFrame(rows, columns=CURVES)


def by_grid() -> pd.DataFrame:
    """Finished models on the paper's own grid beside those of the published schedule of as many images.

    Columns of `curves.csv`, and `grid`, "14 x 14 patches". Empty where one of the two is not published.
    """
    shorter, file = by_schedule(), published_folder() / "grid.json"
    if shorter.empty or not file.is_file():
        return shorter.iloc[:0].assign(grid=[])
    finished, own = published_table("grid"), read_json(file)["parameters"]["scale"]
    finished = finished[finished["images"] == finished["images"].max()]
    alike = shorter[shorter["images"] == own["images"]]
    ours = _parameters(_published()[0])["scale"]
    return pd.concat([alike.assign(grid=_grid(ours)), finished.assign(grid=_grid(own))], ignore_index=True)


def _grid(scale: dict) -> str:
    side = scale["image_size"] // scale["patch"]
    return f"{side} x {side} patches"


def shared_lengths(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the lengths that every seed was trained for."""
    seeds = table.groupby("images")["seed"].nunique()
    return table[table["images"].isin(seeds.index[seeds == table["seed"].nunique()])]


def last_doubling(table: pd.DataFrame) -> pd.DataFrame:
    """What each ratio's last doubling gives, over the seeds that have it: ratio, images, before, after, seeds."""
    rows = []
    for ratio, own in table.groupby("ratio"):
        ends = own.pivot_table("value", "seed", "images").iloc[:, -2:].dropna()
        rows.append((ratio, ends.columns[-1], ends.iloc[:, 0].mean(), ends.iloc[:, -1].mean(), len(ends)))
    return pd.DataFrame(rows, columns=["ratio", "images", "before", "after", "seeds"])


def high_over_low(table: pd.DataFrame) -> pd.DataFrame:
    """What the highest ratio scores over the lowest, for a claim's rule: a row for each shared length and seed."""
    wide = shared_lengths(table).pivot_table("value", ["images", "seed"], "ratio")
    gained = wide[RATIOS[-1]] - wide[RATIOS[0]]
    return gained.rename("value").reset_index().assign(metric=f"lead of {RATIOS[-1]:g} over {RATIOS[0]:g}")
