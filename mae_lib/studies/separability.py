"""Section 3.3: a representation measured by linear probes, neighbours and a t-SNE, on clean images and on variants."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.probes import (
    class_probe,
    features,
    level_scores,
    linear_probe,
    nearest_neighbours,
    neighbour_purity,
    tsne,
)
from mae_lib.metrics.robustness import SETS, EvaluationSet, evaluation_set, robustness, variant_sets
from mae_lib.studies.section import Reader, Scores, Section, joined, over, untrained
from mae_lib.training import MAE
from mae_lib.worlds import make_world
from mae_lib.worlds.figurine_rendering import pattern_of

REFERENCE_SEED = 10_000  # of the untrained encoder whose misses are the hard images; no trained model uses it
OF_A_CLASS = 40  # images of each class in a t-SNE
ON_THE_WAY = 1600, 1000  # training and test images of a probe at each point of a curve over training


def pooled(reader: Reader, model: MAE | None, images: Tensor, patch: int) -> np.ndarray:
    """A reader's features of uint8 images (B, 3, H, W): float32 (B, columns).

    The mean of an encoder's patch tokens; the mean colour of each patch for `("pixels",)`; zeros for `("nothing",)`.
    """
    if reader == ("nothing",):
        return np.zeros((len(images), 1), np.float32)
    if reader == ("pixels",):
        return avg_pool2d(images.float(), patch).flatten(1).numpy()
    return features(model, images, pool="mean")


@dataclass(frozen=True)
class Separability(Section):
    """Probes of every level, of the class three ways, on Table 1's six sets and on digits; purity of a t-SNE."""

    name: ClassVar[str] = "separability"
    baselines: ClassVar[tuple[str, ...]] = ("untrained", "pixels", "nothing")
    tokens_apart: ClassVar[bool] = True  # whether mean and class token have separate probes

    @cached_property
    def train(self) -> EvaluationSet:
        """The training images of the probes."""
        return evaluation_set(self.world, "probe", self.scale["probe_images"], self.cache)

    @cached_property
    def sets(self) -> dict[str, EvaluationSet]:
        """Test images: clean ones under IN1K, and their variants."""
        return variant_sets(self.world, self.scale["test_images"], self.cache)

    @cached_property
    def truths(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The latents behind `train`, and those behind the test images."""
        counts = self.scale["probe_images"], self.scale["test_images"]
        return tuple(ground_truth(self.world, split, n) for split, n in zip(("probe", "test"), counts))

    @cached_property
    def digits(self) -> tuple[EvaluationSet, EvaluationSet]:
        """Handwritten digits for training, and others for testing."""
        world = make_world("digits", size=self.world.size)
        counts = min(1000, self.scale["probe_images"]), min(497, self.scale["test_images"])
        return tuple(evaluation_set(world, split, n, self.cache) for split, n in zip(("train", "test"), counts))

    @cached_property
    def easy(self) -> np.ndarray:
        """Which clean test images the probe of an untrained encoder gets right: bool (images,)."""
        reader, model = ("untrained", REFERENCE_SEED), untrained(self.scale, REFERENCE_SEED)
        x = [pooled(reader, model, one.images, self.scale["patch"]) for one in (self.train, self.sets["IN1K"])]
        return linear_probe(x[0], self.train.labels, x[1], self.sets["IN1K"].labels).hits

    @property
    def laid_out(self) -> int:
        """Classes in a t-SNE: the first ten, or all."""
        return min(10, self.world.classes)

    @cached_property
    def drawn(self) -> np.ndarray:
        """The clean test images that a t-SNE lays out: up to 40 of each of up to ten classes."""
        labels = self.sets["IN1K"].labels
        return np.concatenate([np.flatnonzero(labels == k)[:OF_A_CLASS] for k in range(self.laid_out)])

    @cached_property
    def palettes(self) -> np.ndarray:
        """The palette of each test image's fill, which is independent of its class."""
        return pattern_of(self.truths[1]["texture"])[1].numpy()

    def plane(self, reader: Reader, model: MAE | None) -> np.ndarray:
        """A reader's t-SNE of the images `drawn`: (images, 2)."""
        chosen = self.sets["IN1K"].images[torch.from_numpy(self.drawn)]
        return tsne(pooled(reader, model, chosen, self.scale["patch"]))

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        sets, labels, patch = self.sets, self.train.labels, self.scale["patch"]
        x, tokens = {}, {}
        for place, one in {"train": self.train, **sets}.items():
            if model is None:
                x[place] = pooled(reader, None, one.images, patch)
            else:
                tokens[place], x[place] = np.split(features(model, one.images, pool="both"), 2, axis=1)
        levels = level_scores(self.world.levels, x["train"], self.truths[0], x["IN1K"], self.truths[1])
        scores = {f"{level} probe": values for level, values in levels.items()}
        scores |= robustness(x["train"], labels, {k: (x[k], one.labels) for k, one in sets.items()}, self.easy)
        task = labels, x["IN1K"], sets["IN1K"].labels
        scores["class by neighbours"] = nearest_neighbours(x["train"], *task).hits
        if tokens:
            task = labels, tokens["IN1K"], sets["IN1K"].labels
            scores["class probe (class token)"] = linear_probe(tokens["train"], *task).hits
        scores |= self._digits(reader, model)
        if reader != ("nothing",):
            scores |= self._purity(x["IN1K"])
        return {metric: np.asarray(values, dtype=float) for metric, values in scores.items()}

    def on_the_way(self, model: MAE) -> Scores:
        """The class probe, trained and tested on the first images only."""
        pairs = zip((self.train, self.sets["IN1K"]), ON_THE_WAY)
        (images, labels), (others, asked) = ((one.images[:count], one.labels[:count]) for one, count in pairs)
        probe = class_probe(features(model, images, pool="mean"), labels)
        return {"class probe": (probe.predict(features(model, others, pool="mean")) == asked).astype(float)}

    def _digits(self, reader: Reader, model: MAE | None) -> Scores:
        learn, test = self.digits
        x = [pooled(reader, model, one.images, self.scale["patch"]) for one in (learn, test)]
        task = x[0], learn.labels, x[1], test.labels
        return {"digits probe": linear_probe(*task).hits, "digits by neighbours": nearest_neighbours(*task).hits}

    def _purity(self, x: np.ndarray) -> Scores:
        plane = tsne(x[self.drawn])
        labels = {"class": self.sets["IN1K"].labels, "palette": self.palettes}
        return {f"purity of the {what}": neighbour_purity(plane, of[self.drawn]) for what, of in labels.items()}

    def derived(self, scores: dict[Reader, Scores]) -> dict[Reader, Scores]:
        """Adds `class gained`, over the untrained encoder of the same seed, and scores for guards and other claims.

        `... over guessing`: over a probe that sees nothing; `purity of the class over chance`: over that of a plane
        without structure; `IN-A as a share of IN1K`, one number; and the gain of a mean-token probe over a class-token
        probe.
        """
        more = {reader: self._compared(one) for reader, one in scores.items() if len(reader) == 3}
        fresh = over(scores, "class probe", ("untrained",), "fresh")
        gained = {reader: {"class gained": one["class probe over fresh"]} for reader, one in fresh.items()}
        guessed = [over(scores, metric, ("nothing",), "guessing") for metric in (*SETS, "class probe", "parts probe")]
        return joined(scores, gained, more, *guessed)

    def _compared(self, one: Scores) -> Scores:
        found, purity, pools = {}, "purity of the class", ("class probe", "class probe (class token)")
        if purity in one:
            found[f"{purity} over chance"] = one[purity] - 1 / self.laid_out
        if {"IN-A", "IN1K"} <= one.keys():
            share = np.mean(one["IN-A"]) / max(np.mean(one["IN1K"]), 1e-9)
            found["IN-A as a share of IN1K"] = (
                np.array([share]) if np.ndim(one["IN-A"]) else share
            )  # from images, or from means
        if self.tokens_apart and set(pools) <= one.keys():
            found["lead of the mean token over the class token"] = one[pools[0]] - one[pools[1]]
        return found
