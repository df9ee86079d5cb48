"""What two observers that know the grammar, and trained and fresh encoders, can infer from masked figurines.

The ideal observer reads a corner from the patches below it; the bound reads it from any patch in which another style
would have left a trace, so no model can do better. Both then infer everything hidden by belief propagation.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mae_lib.limits.ideal_observer import expected_accuracy, own_patches, read_corners, trace_patches
from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.node_probes import hidden_scores, masked_features, ridge_hits
from mae_lib.presets import SERIES_RATIO, load_preset, opens_published
from mae_lib.studies.results import Results, published
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Mask, Series
from mae_lib.training import MAE
from mae_lib.worlds import rendered

COLUMNS = ("observer", "ratio", "unit", "seed", "metric", "value", "count")
BOUND, IDEAL, TRAINED, FRESH = "the bound", "the ideal observer", "trained", "untrained"
BELOW = "below the bound"  # in standard errors over images, of a trained encoder
METRICS = {"class": "class", "parts": "parts", "corners": "hidden corners"}
_TEST, _PROBE = 300, 3000  # images at most

Hits = dict[str, np.ndarray]


def measured_observers(
    preset: str | Path,
    seeds: list[int],
    device: str | None = None,
    ratios: list[float] | None = None,
    units: list[int] | None = None,
    scale: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """All four observers on every mask: a row for each observer, mask and metric, with the mean over `count` images.

    A preset that opens published runs uses the encoders of the figurine results that ship the most.
    """
    if opens_published(preset):
        runs = [one for one in published() if one.series.world.name == "figurines"]
        results = max(runs, key=lambda one: len(one.runs()))
    else:
        whole = load_preset(preset)
        given = ratios or whole["mask_ratios"], units or whole["units"], seeds, scale or {}
        results = Results(Series.of(preset, *given))
    rows = []
    images = _Images(results.series)
    for mask, run in results.runs().items():
        hidden = images.hidden(mask)
        read = {
            BOUND: images.observed(hidden["test"], images.traces),
            IDEAL: images.observed(hidden["test"], images.own),
            TRAINED: images.read(run.load(), hidden),
            FRESH: images.read(untrained(results.series.scale, mask[2]), hidden),
        }
        gaps = {name: np.asarray(read[BOUND][name], float) - hits for name, hits in read[TRAINED].items()}
        rows += [(who, *mask, METRICS[m], *_mean(v)) for who, of in read.items() for m, v in of.items()]
        rows += [(BELOW, *mask, METRICS[m], *_in_errors(v)) for m, v in gaps.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _mean(values: Any) -> tuple[float, int]:
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return values.mean(), len(values)


def _in_errors(values: np.ndarray) -> tuple[float, int]:
    values = values[np.isfinite(values)]
    return values.mean() / max(values.std(ddof=1) / len(values) ** 0.5, 1e-9), len(values)


class _Images:
    """Images of both splits with their truths, and what is read from them under a mask."""

    def __init__(self, series: Series) -> None:
        scale, world = series.scale, series.world
        self.series, self.world = series, world
        self.splits = {"probe": min(_PROBE, scale["probe_images"]), "test": min(_TEST, scale["test_images"])}
        self.images = {split: rendered(world, split, count, series.cache) for split, count in self.splits.items()}
        self.labels = {split: ground_truth(world, split, count) for split, count in self.splits.items()}
        rows = torch.arange(self.splits["test"])
        self.own = own_patches(world.size // scale["patch"])
        self.traces = trace_patches(world, rows, "test", scale["patch"])
        self.corners = world.latents(rows, "test")["corners"]

    def hidden(self, mask: Mask) -> dict[str, Tensor]:
        """Masks of a model's own kind for both splits."""
        draw = partial(self.series.configs[mask].masks().sample, 5)
        return {split: draw(n, torch.arange(count)) for n, (split, count) in enumerate(self.splits.items())}

    def observed(self, hidden: Tensor, patches: Any) -> Hits:
        """The expected accuracy of an observer of these patches."""
        gone = ~read_corners(self.own, hidden)
        return expected_accuracy(self.world, self.corners, read_corners(patches, hidden), gone)

    def read(self, model: MAE, hidden: dict[str, Tensor]) -> Hits:
        """The hits of a linear probe on the encoder's output for masked images: class, parts, hidden corners."""
        x = {split: masked_features(model, self.images[split], hidden[split]) for split in self.splits}
        gone = {split: ~read_corners(self.own, hidden[split]).numpy() for split in self.splits}
        found = {}
        for name in ("class", "parts"):
            y = {split: self.labels[split][name].reshape(count, -1) for split, count in self.splits.items()}
            nodes = range(y["probe"].shape[1])
            hits = [ridge_hits(x["probe"], y["probe"][:, k], x["test"], y["test"][:, k]) for k in nodes]
            found[name] = np.mean(hits, axis=0)
        both = [(x[split], self.labels[split]["corners"], gone[split]) for split in ("probe", "test")]
        return found | {"corners": hidden_scores(*both[0], *both[1])}


def observed_along(table: pd.DataFrame, x: str) -> pd.DataFrame:
    """The masks of `measured_observers` along "ratio", at the unit with the most ratios, or along "unit"."""
    if x == "unit":
        return table[table["ratio"] == SERIES_RATIO]
    return table[table["unit"] == table.groupby("unit")["ratio"].nunique().idxmax()]
