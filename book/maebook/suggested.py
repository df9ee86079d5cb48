"""Section 3.6 on one run, as its page shows it: a table and a panel for each of the paper's three suggestions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mae_lib.claims.claims import Claim, Verdict, load_claims
from mae_lib.claims.verdicts import decide
from mae_lib.metrics.training_cost import step_cost
from mae_lib.presets import load_scale, opens_published
from mae_lib.studies.better_masking import lowest_units
from mae_lib.studies.suggestions import (
    SUGGESTIONS,
    UNTRAINED,
    decided,
    published_provenance,
    ratio_series,
    suggestion,
)
from mae_lib.theory import LatentHierarchy
from mae_lib.training import PretrainConfig
from maebook import bits_beside
from maebook.faults_and_speed import held
from maebook.figures import AXES, INK, MARKERS, PALETTE, figure, image_grid, ratio_curve, summarise
from maebook.study import BASELINES

LOW, HIGH = 0.1, 0.9  # the extreme ratios
_FAMILIES = np.array([[0.1, 0.45, 0.7], [0.8, 0.4, 0.1], [0.1, 0.6, 0.45], [0.8, 0.5, 0.65]])  # colours


@dataclass(frozen=True)
class Suggested:
    """The scores of each suggestion, tidy, and `counts` by claim for those that no series of runs decides."""

    words: str  # which run it is
    bits: Mapping[str, pd.DataFrame] | None  # of the top level, by ratio
    tables: Mapping[str, pd.DataFrame]
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        """How many seeds each arm has."""
        return self.tables["boundary"]["seed"].nunique()

    def means(self, name: str, metric: str) -> pd.Series:
        """The mean of a metric for each arm of a suggestion, over seeds and images."""
        table = self.tables[name]
        return table[table["metric"] == metric].groupby(SUGGESTIONS[name].series)["value"].mean()

    def verdict(self, claim: Claim) -> Verdict:
        """What the claim's rule says of this run."""
        if claim.id in self.counts:
            return decide(claim, self.counts[claim.id])
        return decided(claim, next(table for table in self.tables.values() if claim.series in table))

    def outcome(self, id: str) -> str:
        """The verdict's word on a claim."""
        return self.verdict(load_claims()[id]).verdict


def open_suggested(preset: str | Path, seeds: Sequence[int]) -> Suggested:
    """The three suggestions at a preset: published, or trained and measured here. Raises ValueError as `suggestion`."""
    tables = {name: suggestion(name, preset, seeds) for name in SUGGESTIONS}
    number = tables["boundary"]["seed"].nunique()
    of = "this build"
    if opens_published(preset):
        presets = {name: published_provenance(name)["parameters"]["preset"] for name in SUGGESTIONS}
        preset = presets["extremes"]
        of = f"published at preset {_said(presets)}"
    bits = bits_beside.top_bits(ratio_series(preset, [0]))
    return Suggested(f"{of}, {number} seed{'s' * (number > 1)}", bits, tables)


def _said(presets: Mapping[str, str]) -> str:
    """Which preset, or which is of which: "desk_figurines (boundary, extremes) and laptop (masks)"."""
    of = {preset: [name for name in presets if presets[name] == preset] for preset in presets.values()}
    return " and ".join(f"{one} ({', '.join(names)})" if len(of) > 1 else one for one, names in of.items())


def step_costs(preset: str | Path) -> pd.DataFrame:
    """A training step at the two extreme ratios: images a second and peak memory in MiB, by ratio.

    Measured here, or read from `results/speed.json` where the preset opens what is published.
    """
    if opens_published(preset):
        first, *others = held("speed")["growth"]["rows"]
        alike = [row for row in others if all(row[k] == first[k] for k in ("image_size", "patch", "batch"))]
        return pd.DataFrame(alike).set_index("mask_ratio").loc[[LOW, HIGH], ["images/s", "peak MiB"]]
    configs = {ratio: PretrainConfig.from_scale(load_scale(preset), mask_ratio=ratio) for ratio in (LOW, HIGH)}
    costs = {ratio: (config.batch, step_cost(config, 5)) for ratio, config in configs.items()}
    rows = {
        r: {"images/s": n / one.seconds, "peak MiB": (one.peak_bytes or np.nan) / 2**20}
        for r, (n, one) in costs.items()
    }
    return pd.DataFrame(rows).T


def wins(costs: pd.DataFrame) -> list[dict[str, int]]:
    """How often the high ratio is cheaper, of time and, where it is known, memory: for a rule that counts."""
    low, high = costs.loc[LOW], costs.loc[HIGH]
    won = [high["images/s"] > low["images/s"]] + [high["peak MiB"] < low["peak MiB"]] * bool(low.notna().all())
    return [{"successes": int(sum(won)), "trials": len(won)}]


def overview(suggested: Suggested, levels: Mapping[str, float]) -> Figure:
    """A panel for each suggestion; `levels` is the mean level of c by way of masking, for the second."""
    drawing, (boundary, masks, extremes, bits) = figure(4, 1, height=7.6, height_ratios=(1, 1, 1, 0.6))
    table = suggested.tables["boundary"]
    shown = {"class probe": "class", "corners probe": "corners"}
    rows = table[table["metric"].isin(shown)]
    ratio_curve(boundary, rows.assign(of=rows["metric"].map(shown)), "boundary", by="of")
    boundary.set(xlabel="boundary left out of the loss (patches)", ylabel="accuracy")
    boundary.set_title("1 · Boundary: class and corner probes", loc="left")
    _by_level(masks, suggested.tables["masks"], levels)
    masks.set_title("2 · Latent structure: root probe", loc="left")
    table = suggested.tables["extremes"]
    pixels = table[table["metric"] == "pixels read"]
    trained = pixels[pixels["ratio"] != UNTRAINED].astype({"ratio": float})
    ratio_curve(extremes, trained, "ratio")
    _untrained(extremes, suggested.means("extremes", "pixels read")[UNTRAINED])
    extremes.set(xlabel=AXES["ratio"], ylabel="R²")
    extremes.set_title("3 · Extreme ratio: own-pixel probe", loc="left")
    bits_beside.bits_panel(bits, suggested.bits, "ratio")
    bits.set_title(bits_beside.TITLE, loc="left")
    return drawing


def _by_level(axis: Axes, table: pd.DataFrame, levels: Mapping[str, float]) -> None:
    """What is read of the root by each way of masking, against the level that its masks share."""
    rows = summarise(table[table["metric"] == "root probe"], "masks").set_index("masks")
    for place, way in enumerate(levels):
        one = rows.loc[way]
        spread = np.nan_to_num([[one["mean"] - one["low"]], [one["high"] - one["mean"]]])
        axis.errorbar(place, one["mean"], spread, fmt=MARKERS[0], color=PALETTE[0], capsize=3)
    _untrained(axis, rows.loc[UNTRAINED, "mean"])
    axis.set_xticks(range(len(levels)), [f"{way}\n{level:.2f}" for way, level in levels.items()])
    axis.set(xlabel="way of masking, with the mean level of c by Algorithm 1", ylabel="R²")


def _untrained(axis: Axes, value: float) -> None:
    axis.margins(y=0.2)
    axis.axhline(value, color=INK, ls=BASELINES["untrained"], lw=1.2, alpha=0.7)
    axis.annotate("untrained", (0.01, value), (0, 3), ("axes fraction", "data"), "offset points", fontsize=9)


def mask_rows(masks: Mapping[str, Tensor], tree: LatentHierarchy, found: LatentHierarchy) -> Figure:
    """Seven masks of each way, hidden dark, after the families of the true tree, or of the found one, in colours."""

    def row(name: str) -> np.ndarray:
        units = _FAMILIES[np.array(lowest_units(found if name == "discovered" else tree)) % len(_FAMILIES)]
        hidden = masks[name][:7, :, None].expand(-1, -1, 3).numpy()
        side = int(len(units) ** 0.5)
        cells = np.concatenate([units[None], np.where(hidden, 0.2, 0.9)]).reshape(-1, side, side, 3)
        return np.kron(cells.transpose(0, 3, 1, 2), np.ones((1, 1, 4, 4)))

    return image_grid([row(name) for name in masks], list(masks), ["family", *[""] * 7])


def kept_and_learned(suggested: Suggested) -> tuple[Figure, float]:
    """A point for each encoder, the pixels that it keeps against the class it has learned; their rank correlation."""
    table = suggested.tables["extremes"]
    means = table.groupby(["ratio", "seed", "metric"])["value"].mean().unstack()
    drawing, axis = figure(height=2.9)
    for i, (ratio, rows) in enumerate(means.groupby("ratio", sort=False)):
        look = {"marker": MARKERS[i % len(MARKERS)], "color": INK if ratio == UNTRAINED else PALETTE[i % len(PALETTE)]}
        label = ratio if ratio == UNTRAINED else f"r = {ratio:g}"
        axis.plot(rows["class read"], rows["pixels read"], ls="", label=label, **look)
    axis.set(xlabel="class, accuracy", ylabel="own pixels, R²")
    drawing.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing, means["class read"].corr(means["pixels read"], method="spearman")
