"""Masked versus contrastive pretraining of one encoder, on equally many images: linear probes of each level."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.probes import features, level_scores, linear_probe
from mae_lib.presets import SERIES_RATIO, load_preset, load_scale
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Series
from mae_lib.training import MAE, Hardware, pretrain
from mae_lib.training.contrastive import ContrastiveConfig, contrast
from mae_lib.worlds import rendered

COLUMNS = ("encoder", "metric", "seed", "value", "images")
VIEWS = {"class kept": "class", "shape kept": "class+corners", "crops": "crop"}
MASKED = ("MAE, ratio 0.75", "MAE, best ratio")
UNTRAINED = "untrained"
ENCODERS = (*MASKED, *VIEWS)


def measured_encoders(
    preset: str | Path,
    seeds: Sequence[int],
    device: str | None = None,
    ratios: Sequence[float] | None = None,
    images: int = 0,
    scale: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Train the missing encoders and probe all: a row for each encoder, metric, seed and test image.

    Every encoder sees `images` images, by default as many as the preset's models, and a pair counts as two. The best
    ratio is the one with the highest class probe on the test images after training, which favours masking.
    """
    unit = load_scale(preset, scale)["unit"]
    series = Series.of(preset, list(ratios or load_preset(preset)["mask_ratios"]), [unit], list(seeds), scale)
    seen, hardware = images or series.scale["images"], Hardware(device=device)
    splits = {"probe": series.scale["probe_images"], "test": series.scale["test_images"]}
    pictures = [rendered(series.world, split, count, series.cache) for split, count in splits.items()]
    truths = [ground_truth(series.world, split, count) for split, count in splits.items()]

    def looks(model: MAE) -> list[np.ndarray]:
        return [features(model.cpu().eval(), each, pool="mean") for each in pictures]

    def class_read(train: np.ndarray, test: np.ndarray) -> float:
        return linear_probe(train, truths[0]["class"], test, truths[1]["class"]).accuracy

    masked = {
        key: looks(pretrain(replace(config, images=seen), hardware=hardware).load())
        for key, config in series.configs.items()
    }
    first = {ratio: class_read(*of) for (ratio, _, seed), of in masked.items() if seed == seeds[0]}
    best = max(first, key=first.get)
    chosen = dict(zip(MASKED, (SERIES_RATIO if SERIES_RATIO in first else best, best)))
    tables = []
    for seed in seeds:
        like = series.configs[chosen[MASKED[0]], unit, seed]
        found = {UNTRAINED: looks(untrained(series.scale, seed))}
        found |= {name: masked[ratio, unit, seed] for name, ratio in chosen.items()}
        for name, views in VIEWS.items():
            run = contrast(ContrastiveConfig(like, views, seen), hardware=hardware)
            found[name] = looks(run.load())
        for name, (train, test) in found.items():
            levels = level_scores(series.world.levels, train, truths[0], test, truths[1])
            own = {"encoder": name, "seed": seed, "images": seen}
            tables += [pd.DataFrame(own | {"metric": f"{level} probe", "value": of}) for level, of in levels.items()]
    return pd.concat(tables).rename_axis("image").reset_index()


def mean_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The published form of `measured_encoders`: means over images."""
    return scores.groupby(["encoder", "metric", "seed", "images"], as_index=False)["value"].mean()[list(COLUMNS)]
