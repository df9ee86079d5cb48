"""Sweeps of the mask unit side by side: the paper's, those that were printed later, and those of our drawings.

All go over units of 1, 2 and 4 patches on a side, so a column is a unit; what differs is how many units stay visible.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from mae_lib.claims.claims import load_claims, paper_table
from mae_lib.metrics.intervals import mean_interval
from mae_lib.presets import SERIES_RATIO
from mae_lib.studies.results import Results, published
from mae_lib.theory.mask_levels import visible_count
from maebook.sphinx.executed import Page
from maebook.sphinx.tables import list_table, load
from maebook.strongest import short, standing
from maebook.verdict_box import in_words

SIDES = (1, 2, 4)  # of a unit, in patches
WORLD = "drawings"
_SCORES = {"IN1K": "linear probe", "class by neighbours": "neighbours"}
_PAPER = {"side": 224, "patch": 8}  # Section 3: images of ImageNet, "the ViT patch size remains fixed at 8"
_OURS = "this book"
_LARGER = "larger-units-probe-better"


@dataclass(frozen=True)
class Sweep:
    """Scores in percent by the side of the unit in patches, a value for each seed; of whom, and at which sizes."""

    who: str
    score: str
    side: int
    patch: int
    ratio: float
    values: Mapping[int, list[float]]

    @property
    def study(self) -> str:
        return self.who.partition(",")[0]

    @property
    def best(self) -> int:
        return max(self.values, key=lambda k: mean_interval(self.values[k]).mean)

    def visible(self, k: int) -> int:
        """Units of k x k patches that the encoder sees."""
        return visible_count((self.side // (self.patch * k)) ** 2, self.ratio)

    def shown(self, k: int) -> str:
        found = mean_interval(self.values[k])
        spread = "" if isnan(found.high) else f" ± {(found.high - found.low) / 2:.1f}"
        return f"{found.mean:.1f}{spread}"

    def cell(self, k: int) -> str:
        shown = f"**{self.shown(k)}**" if k == self.best else self.shown(k)
        return f"{shown} ({self.visible(k)})"


def ours() -> Results | None:
    """The published drawings that hold every unit, of most seeds and then of most images; None where there are none."""
    held = [one for one in published("separability") if one.series.scale["world"] == WORLD and _units(one)]
    return max(held, key=lambda one: (len(_seeds(one)), one.series.scale["images"]), default=None)


def _units(one: Results) -> bool:
    return set(SIDES) <= {unit / one.series.scale["patch"] for _, unit, _ in one.series.by("unit")}


def _seeds(one: Results) -> set[int]:
    return {seed for _, _, seed in one.series.by("unit")}


def sweeps(folder: Path) -> Iterator[Sweep]:
    """The paper's, those of `mae_today.yml`, and ours by each of two readings."""
    table = paper_table("table_1", "unit").query("metric == 'IN1K'").set_index("unit")["value"]
    yield Sweep(
        "{cite:t}`kong2023`, Table 1",
        "linear probe",
        **_PAPER,
        ratio=SERIES_RATIO,
        values={k: [float(table[k * _PAPER["patch"]])] for k in SIDES},
    )
    for entry in load(folder, "mae_today"):
        who = f"{{cite:t}}`{entry['cite']}`, {entry['where']}"
        values = {k: [value] for k, value in entry["values"].items()}
        yield Sweep(who, entry["score"], entry["side"], entry["patch"], entry["ratio"], values)
    if (one := ours()) is not None:
        yield from _our_sweeps(one)


def _our_sweeps(one: Results) -> Iterator[Sweep]:
    scale, scores = one.series.scale, one.scores("separability")
    patch, seeds = scale["patch"], sorted(_seeds(one))
    who = f"{_OURS}, `{one.name}` on {WORLD}, {_counted(seeds)}"
    for metric, score in _SCORES.items():
        values = {k: [100 * float(scores[SERIES_RATIO, k * patch, seed][metric]) for seed in seeds] for k in SIDES}
        yield Sweep(who, score, scale["image_size"], patch, SERIES_RATIO, values)


def _counted(seeds: Any) -> str:
    return f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"


def unit_sweeps(folder: Path, pages: Mapping[str, Page]) -> str:
    """The table, and how often each unit is the best of its row."""
    found = list(sweeps(folder))
    header = ["Sweep", "Score, %", "Masked", *(f"{k} × {k} patches" for k in SIDES)]
    rows = [[one.who, one.score, f"{one.ratio:.1%}".replace(".0%", "%"), *map(one.cell, SIDES)] for one in found]
    best = [f"{k} × {k} in {sum(one.best == k for one in found)}" for k in SIDES]
    ours_best = {one.best for one in found if one.who.startswith(_OURS)}
    studies = len({one.study for one in found})
    agree = "" if not ours_best else f" Our two scores {'agree' if len(ours_best) == 1 else 'disagree'}."
    return (
        f"{list_table(header, rows, 'mae-numbers')}\n\nBold marks the best of a row, parentheses give the units "
        f"that the encoder sees, and ± is a 95% interval over seeds. Over {len(found)} sweeps in {studies} studies, "
        f"the best is {', '.join(best[:-1])} and {best[-1]}.{agree}"
    )


def units_in_sight(folder: Path, pages: Mapping[str, Page]) -> str:
    """How many of the largest units each study's encoder sees, in a sentence."""
    most = SIDES[-1]
    seen: dict[str, set[int]] = {}
    for one in sweeps(folder):
        seen.setdefault(one.study, set()).add(one.visible(most))
    said = [f"{' or '.join(map(str, sorted(counts)))} in {study}" for study, counts in seen.items()]
    return f"With units of {most} × {most} patches, the encoder sees {', '.join(said[:-1])} and {said[-1]}."


def units_answer(folder: Path, pages: Mapping[str, Page]) -> str:
    """What our runs say of the unit, in two sentences; the claim's verdict is that of this run and of the strongest."""
    if (one := ours()) is None:
        return f"No run on {WORLD} is published yet."
    probe, neighbours = _our_sweeps(one)
    read = [f"{', '.join(sweep.shown(k) for k in SIDES)}%" for sweep in (probe, neighbours)]
    here, strongest = one.verdicts()[_LARGER], standing(load_claims()[_LARGER])
    other = f"; {in_words(strongest.verdict)} in the strongest run ({short(strongest)})"
    return (
        f"On our {WORLD} ({_counted(_seeds(one))}), with units of {', '.join(f'{k} × {k}' for k in SIDES)} patches, "
        f"a linear probe identifies the concept in {read[0]} of images, and nearest neighbours in {read[1]}. Larger "
        f"units probe better: {in_words(here)}{other if strongest.key != one.name else ''}."
    )
