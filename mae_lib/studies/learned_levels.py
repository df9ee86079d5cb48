"""What masked autoencoders learn on two small trees whose best prediction is known: a series of masks on each.

For each model, three measurements: how close its prediction of hidden leaves is to the limit; how much its prediction
depends on each level of the visible leaves; and how well a linear probe of the encoder reads each level's noises.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mae_lib.limits.bayes_limits import linear_predictor, sampled_limit, shared_depth
from mae_lib.limits.level_used import Predictor, prediction_changes, sobol_indices
from mae_lib.limits.token_model import train_tokens
from mae_lib.metrics.node_probes import node_scores, node_stacks, patch_errors, patch_features, pixel_patches
from mae_lib.presets import SERIES_RATIO, load_preset, preset_word
from mae_lib.studies.better_masking import LEVELS, TREE
from mae_lib.studies.scores import measure
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.studies.series import Series
from mae_lib.theory.grammars import code_grammar
from mae_lib.training import MAE
from mae_lib.worlds import rendered

COLUMNS = ("tree", "ratio", "unit", "seed", "metric", "value", "count")
TREES = {"linear": (1.0, 0.5, 0.2), "bent": (0.5, 0.52, 0.15)}  # slope of the leaky ReLU; mean and deviation of pixels
SHARE = 0.4  # images of a run, as a share of the preset's
UNITS = [4, 8]  # a leaf, and all leaves of a node
SHARED = {0: "share the root alone", 1: "share their parent"}  # hidden leaves, by the lowest node shared
EXPLAINED, BEYOND, USED, BEST = "explained where leaves ", "beyond the limit where leaves ", "used: ", "best use: "
_GROUPS = {**{key: name for name, key in LEVELS.items()}, "private": "not shared"}  # of noises that are redrawn
_MASKS, _IMAGES = 8, 256  # masks and images per model, for measuring the levels used


def tree_series(
    preset: str | Path, name: str, seeds: list[int], ratios: list[float] | None = None, scale: Any = None
) -> Series:
    """The runs on a tree of `TREES`: every ratio at unit 4, and ratio 0.75 at unit 8. Raises ValueError as `Series`."""
    whole = load_preset(preset)
    base = Series.of(preset, [SERIES_RATIO], [whole["scale"]["unit"]], seeds, scale).scale
    slope, mean, std = TREES[name]
    options = {"depth": 2, "root_dim": 12, "slope": slope}
    images = max(base["batch"], int(SHARE * base["images"]))
    own = {"world_options": options, "pixel_mean": [mean] * 3, "pixel_std": [std] * 3, "images": images}
    return Series.of(preset, ratios or whole["mask_ratios"], UNITS, seeds, base | TREE | own)


@dataclass(frozen=True)
class LearnedLevels(Section):
    """All three measurements for a model trained with a mask; only the probe for fresh weights and raw pixels."""

    name: ClassVar[str] = "learned_levels"
    baselines: ClassVar[tuple[str, ...]] = ("untrained", "pixels")

    @cached_property
    def images(self) -> dict[str, Tensor]:
        """Images that the probes learn from, and test images: uint8."""
        return {split: rendered(self.world, split, count, self.cache) for split, count in self._counts.items()}

    @cached_property
    def noises(self) -> dict[str, list[Tensor]]:
        """The noises behind `images`, level by level."""
        indices = {split: torch.arange(count) for split, count in self._counts.items()}
        return {split: list(self.world.noises(which, split).values()) for split, which in indices.items()}

    @cached_property
    def limits(self) -> np.ndarray:
        """The least mean squared error of each leaf given nothing, the root, or its parent: (3, leaves)."""
        return sampled_limit(self.world, torch.arange(self._counts["test"])).mean(0).numpy()

    @property
    def _counts(self) -> dict[str, int]:
        return {"probe": self.scale["probe_images"], "test": self.scale["test_images"]}

    def hidden(self, reader: Reader) -> Tensor:
        """A mask for each test image, (images, leaves), the same for every seed."""
        return self.masks(reader).sample(seed=99, step=0, rows=torch.arange(self._counts["test"]))

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        patch = self.scale["patch"]
        if model is None:
            return self._probed({split: pixel_patches(images, patch) for split, images in self.images.items()}, True)
        scores = self._probed({split: patch_features(model, images) for split, images in self.images.items()})
        if len(reader) == 3:
            masks = self.hidden(reader)
            scores |= self._explained(model, masks) | self._used(model.reconstruct, masks, USED)
            if self.world.slope == 1:
                scores |= self._used(partial(linear_predictor, self.world), masks, BEST)
        return scores

    def _probed(self, seen: dict[str, np.ndarray], stacked: bool = False) -> Scores:
        pairs = (part for split in ("probe", "test") for part in (seen[split], self.noises[split]))
        scores = node_scores(*pairs, node_stacks if stacked else None)
        return {f"{level} probe": np.asarray(values, float) for level, values in zip(LEVELS, scores)}

    def _explained(self, model: MAE, masks: Tensor) -> Scores:
        """The share explained of the predictable variance, and the error beyond the limit in standard errors.

        By what leaves share; kinds with fewer than 1% of the hidden leaves are left out.
        """
        errors = patch_errors(model, self.images["test"], masks).numpy()
        depths, prior, found = shared_depth(masks), self.limits[0], {}
        for depth, shared in SHARED.items():
            chosen = ((depths == depth) & masks).numpy()
            if chosen.sum() < 0.01 * masks.sum().item():
                continue
            limit = self.limits[depth + 1]
            gap = np.broadcast_to(prior - limit, chosen.shape)[chosen].mean()
            per_image = chosen.sum(1).mean()  # a ratio of means over images
            found[EXPLAINED + shared] = np.where(chosen, prior - errors, 0).sum(1) / per_image / gap
            excess = np.where(chosen, errors - limit, 0).sum(1)
            found[BEYOND + shared] = np.array([excess.mean() / (excess.std(ddof=1) / len(excess) ** 0.5)])
        return found

    @torch.inference_mode()
    def _used(self, predict: Predictor, masks: Tensor, prefix: str) -> Scores:
        rows = torch.arange(min(_IMAGES, len(masks)))
        indices = sobol_indices(prediction_changes(self.world, predict, rows, masks[rows % _MASKS]))
        return {prefix + name: np.array([indices[group]]) for group, name in _GROUPS.items()}


def measured_levels(
    preset: str | Path,
    seeds: list[int],
    device: str | None = None,
    ratios: list[float] | None = None,
    scale: Any = None,
) -> pd.DataFrame:
    """Train and measure missing runs: a table of tree, ratio, unit, seed, metric, value and count.

    For fresh weights and raw pixels the column ratio has their name, and unit is empty. `value` is the mean over
    `count` images, or one number.
    """
    rows = []
    for name, seed in product(TREES, seeds):
        series = tree_series(preset, name, [seed], ratios, scale)
        section = LearnedLevels(series.world, series.scale, series.cache)
        series.train(device)
        for reader in (("untrained", seed), ("pixels",), *series.configs):
            mask = reader[:2] if len(reader) == 3 else (reader[0], None)
            found = measure(section, series, reader, device)
            rows += [(name, *mask, seed, metric, values.mean(), len(values)) for metric, values in found.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def measured_tokens(preset: str | Path, seeds: list[int], device: str | None = None) -> pd.DataFrame:
    """A small transformer that fills in hidden corners, compared with exact posteriors, during training and at its end.

    Columns ratio, step, level, apart and told, of `train_tokens`, and seed; one model per seed for all of the preset's
    ratios. It always trains on the CPU.
    """
    steps, stops, tried = (40, 5, 100) if preset_word(preset) == "smoke" else (1000, 11, 500)
    stops, ratios = np.linspace(0, steps, stops).astype(int).tolist(), load_preset(preset)["mask_ratios"]
    tables = [train_tokens(code_grammar(), ratios, stops, seed, test=tried) for seed in seeds]
    return pd.concat(tables, ignore_index=True)


def along(levels: pd.DataFrame, tree: str, x: str, prefix: str = "") -> pd.DataFrame:
    """Rows of `measured_levels` for a tree along "ratio" or "unit", of metrics with `prefix`, which is removed."""
    rows = levels[(levels["tree"] == tree) & levels["metric"].str.startswith(prefix)]
    rows = rows.assign(ratio=pd.to_numeric(rows["ratio"], errors="coerce")).dropna(subset="ratio")
    rows = rows[rows["unit"] == UNITS[0]] if x == "ratio" else rows[rows["ratio"] == SERIES_RATIO]
    return rows.assign(metric=rows["metric"].str.removeprefix(prefix))
