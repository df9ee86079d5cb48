"""Section 3.6 as tables: the arms of each suggestion, trained and measured, and the claims they decide.

    python -m mae_lib table boundary masks extremes --preset laptop --out DIR

A table has a row for each arm, seed and metric.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mae_lib.claims.claims import Claim, Verdict, load_claims
from mae_lib.claims.orderings import Measured, holm
from mae_lib.claims.verdicts import decide
from mae_lib.folders import published_folder
from mae_lib.presets import load_preset, opens_published
from mae_lib.studies import Reader, Scores
from mae_lib.studies.better_masking import (
    TreeLevels,
    boundary_series,
    discovered_tree,
    mask_series,
    tree_series,
)
from mae_lib.studies.low_level import LowLevel
from mae_lib.studies.scores import measure, section_of
from mae_lib.studies.series import Series
from mae_lib.theory import LatentHierarchy
from mae_lib.training import Run
from mae_lib.training.checkpoints import read_json
from mae_lib.worlds.world import need_latents

PAGE, FOLDER = "3_6_suggestions", "suggestions"
COLUMNS = ("arm", "seed", "metric", "value", "count")
UNTRAINED = "untrained"
_SECTIONS = ("separability", "shape_bias")  # used to measure the boundary

Arms = Iterator[tuple[Any, Scores]]  # an arm of a suggestion and its scores


@dataclass(frozen=True)
class Suggestion:
    """One of the three suggestions: its arms, trained and measured, and the claims it decides."""

    series: str  # the name of its arms in the claims
    modules: tuple[str, ...]  # with the code that its numbers depend on
    measured: Callable[[str | Path, int, str | None], Arms]  # from preset, seed and device

    def claims(self) -> list[Claim]:
        """The claims decided by its numbers."""
        return [one for one in load_claims().values() if (one.notebook, one.series) == (PAGE, self.series)]

    def table(self, preset: str | Path, seeds: Sequence[int], device: str | None = None) -> pd.DataFrame:
        """Train missing runs and measure them: `COLUMNS`. Raises ValueError for a world without latents."""
        need_latents(ratio_series(preset, list(seeds)).world)  # a missing need is detected before any training
        arms = [(arm, seed, scores) for seed in seeds for arm, scores in self.measured(preset, seed, device)]
        rows = [(arm, seed, m, v.mean(), len(v)) for arm, seed, scores in arms for m, v in scores.items()]
        return pd.DataFrame(rows, columns=COLUMNS)


def ratio_series(preset: str | Path, seeds: list[int] | str) -> Series:
    """The preset's mask ratios at its own unit, which Section 3 trains too. Raises ValueError as `Series.of` does."""
    parameters = load_preset(preset)
    return Series.of(preset, parameters["mask_ratios"], [parameters["scale"]["unit"]], seeds)


def _boundaries(preset: str | Path, seed: int, device: str | None) -> Arms:
    for width, series in boundary_series(preset, [seed]).items():
        for mask, run in _trained(series, f"boundary {width}, seed {seed}", device).items():
            found = [measure(section_of(name, series), series, mask, device) for name in _SECTIONS]
            yield width, found[0] | found[1] | _took(run)


@cache  # the same for every seed
def _tree(preset: str | Path) -> LatentHierarchy:
    return discovered_tree(tree_series(preset, [0]).world)


def _masks(preset: str | Path, seed: int, device: str | None) -> Arms:
    plain = tree_series(preset, [seed])
    section = TreeLevels(plain.world, plain.scale, plain.cache)
    yield UNTRAINED, measure(section, plain, (UNTRAINED, seed), device)
    for name, series in mask_series(plain, _tree(preset)).items():
        for mask, run in _trained(series, f"masks by {name}, seed {seed}", device).items():
            yield name, measure(section, series, mask, device) | _took(run)


def _extremes(preset: str | Path, seed: int, device: str | None) -> Arms:
    series = ratio_series(preset, [seed])
    section = LowLevel(series.world, series.scale, series.cache)
    yield UNTRAINED, measure(section, series, (UNTRAINED, seed), device)
    for mask, run in _trained(series, f"every ratio, seed {seed}", device).items():
        yield mask[0], measure(section, series, mask, device) | _took(run)


def _trained(series: Series, what: str, device: str | None) -> dict[Reader, Run]:
    print(what, flush=True)
    return series.train(device)


def _took(run: Run) -> Scores:
    return {"training seconds": np.array([run.done["seconds"]])}


_CODE = ("mae_lib.studies.better_masking", "mae_lib.studies", "mae_lib.training.pretrain")
_LOW_LEVEL = ("mae_lib.studies.low_level", "mae_lib.training.pretrain")
SUGGESTIONS = {  # that are trained and published, in the paper's order
    "boundary": Suggestion("boundary", _CODE, _boundaries),
    "masks": Suggestion("masks", _CODE, _masks),
    "extremes": Suggestion("ratio", _LOW_LEVEL, _extremes),
}


# Reading published tables


def published_suggestion(name: str) -> pd.DataFrame:
    """A suggestion's published table, tidy: its arms in a column named after its series, seed, metric, value and count.

    Empty if nothing is published. The arm "untrained", an encoder with fresh weights, is included if measured.
    """
    file, series = published_folder() / FOLDER / f"{name}.csv", SUGGESTIONS[name].series
    table = pd.read_csv(file, dtype={"arm": str}) if file.is_file() else pd.DataFrame(columns=COLUMNS)
    arms = {arm: yaml.safe_load(arm) for arm in table["arm"].unique()}
    return table.assign(**{series: table["arm"].map(arms)})[[series, "seed", "metric", "value", "count"]]


def published_provenance(name: str) -> dict[str, Any] | None:
    """The provenance of a suggestion's numbers; None if nothing is published."""
    file = published_folder() / FOLDER / f"{name}.json"
    return read_json(file) if file.is_file() else None


def verdicts_of(name: str) -> dict[str, Verdict]:
    """The verdicts on its claims over the seeds published so far, by id."""
    table = published_suggestion(name)
    return {claim.id: decided(claim, table) for claim in SUGGESTIONS[name].claims()}


def decided(claim: Claim, table: pd.DataFrame) -> Verdict:
    """The verdict of a claim's rule on the trained arms of `table`, image by image or as means."""
    rows = over_fresh(table, claim.series)
    return decide(claim, rows[rows["metric"].isin(claim.reads)])


def over_fresh(table: pd.DataFrame, series: str) -> pd.DataFrame:
    """The trained arms, and their scores over fresh weights of the same seed: `<metric> over fresh weights`.

    `table` is tidy, with the arm "untrained" if measured: fresh weights are not a value of a series.
    """
    fresh = table[series] == UNTRAINED
    keys = [name for name in ("seed", "metric", "image") if name in table]
    arms = table[~fresh]
    both = arms.merge(table.loc[fresh, [*keys, "value"]], on=keys, suffixes=("", "_fresh"))
    gained = both.assign(value=both["value"] - both["value_fresh"], metric=both["metric"] + " over fresh weights")
    kept = pd.concat([arms, gained[arms.columns]], ignore_index=True)
    return kept.assign(**{series: kept[series].infer_objects()})


# For a page


def suggestion(name: str, preset: str | Path, seeds: Sequence[int]) -> pd.DataFrame:
    """A suggestion's scores as from `published_suggestion`, or computed here if `preset` trains.

    Scores computed here are per image, with a column `image`, for these seeds. Raises ValueError if nothing is
    published, and for a world without latents.
    """
    if opens_published(preset):
        if (table := published_suggestion(name)).empty:
            raise ValueError(f"{published_folder() / FOLDER} holds no {name}: choose a preset that trains")
        return table
    need_latents(ratio_series(preset, seeds).world)
    measured = {(arm, seed): scores for seed in seeds for arm, scores in SUGGESTIONS[name].measured(preset, seed, None)}
    return tidy(SUGGESTIONS[name].series, measured)


def tidy(name: str, scores: Mapping[tuple[Any, int], Scores]) -> pd.DataFrame:
    """Scores by (arm, seed) as one table: the arms in a column `name`, seed, metric, image and value."""
    tables = [
        pd.DataFrame({name: arm, "seed": seed, "metric": metric, "image": np.arange(len(values)), "value": values})
        for (arm, seed), found in scores.items()
        for metric, values in found.items()
    ]
    return pd.concat(tables, ignore_index=True)


def ordered_pairs(table: pd.DataFrame, predicted: Mapping[str, float], apart: float = 0.1) -> pd.DataFrame:
    """Whether, of two ways of masking, the one with the higher predicted level has the higher root probe.

    A row for each pair whose predictions differ by more than `apart`: the difference of the root probes (`table` as
    from `tidy`, by "masks") with its paired interval, 95% for all pairs together (Holm), and `successes` of `trials`
    for the rule `always`. A pair whose interval contains 0 is not a trial. With one seed there is a column `seed`, so
    that the verdict is marked.
    """
    roots = table[table["metric"] == "root probe"]
    measured, seeds = Measured.from_table(roots, "masks", "root probe"), roots["seed"].unique()
    pairs = [(a, b) for a in predicted for b in predicted if predicted[b] > predicted[a] + apart]
    rows = []
    for (low, high), found in zip(pairs, holm([measured.above(high, low) for low, high in pairs], 0.95)):
        numbers, sure = found.numbers, found.outcome in ("holds", "reversed")
        about = {"higher": high, "lower": low} | {name: numbers[name] for name in ("difference", "low", "high")}
        rows.append(about | {"successes": int(numbers["low"] > 0), "trials": int(sure)})
    return pd.DataFrame(rows).assign(**({"seed": seeds[0]} if len(seeds) == 1 else {}))
