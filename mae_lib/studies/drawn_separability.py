"""Section 3.3 on drawings: probes of every level, on every set, and whether images cluster by concept or by designer.

New draws by the same designers represent IN1K, other designers IN-R and outlines IN-S. IN-v2 and OJN are wider
nuisances and odd poses, IN-A the images that an untrained reference misses.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from sklearn.pipeline import Pipeline
from torch import Tensor

from mae_lib.metrics.across_designers import across_hands
from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.probes import (
    class_probe,
    features,
    nearest_neighbours,
    neighbour_purity,
    ridge_probe,
    tsne,
)
from mae_lib.metrics.robustness import SETS, EvaluationSet, evaluation_set
from mae_lib.studies.on_drawings import OnDrawings, both
from mae_lib.studies.section import Reader, Scores, untrained
from mae_lib.studies.separability import REFERENCE_SEED, Separability, pooled
from mae_lib.training import MAE
from mae_lib.worlds.drawings import Drawings


@dataclass(frozen=True)
class DrawnSeparability(OnDrawings, Separability):
    """Probes of every level at the mean token; of the class also at the class token, on every set: `... (class token)`.

    Also nearest neighbours without a probe, see `across_hands`.
    """

    baselines: ClassVar[tuple[str, ...]] = (*Separability.baselines, "supervised")

    @property
    def train(self) -> EvaluationSet:
        return self.learned

    @cached_property
    def truths(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        counts = self.scale["probe_images"], self.scale["test_images"]
        return tuple(ground_truth(self.read_world, split, n) for split, n in zip(("probe", "test"), counts))

    @cached_property
    def sets(self) -> dict[str, EvaluationSet]:
        """Test images by column of Table 1, IN-A left out, and silhouettes; all but IN-v2 are paired one by one."""
        there = {
            "IN-v2": (wider(self.read_world), "second"),
            "OJN": (odd_pose(self.read_world), "test"),
            "IN-R": (replace(self.read_world, variant="unseen"), "test"),
            "IN-S": (replace(self.read_world, variant="outline"), "test"),
            "silhouettes": (replace(self.read_world, variant="silhouette"), "test"),
        }
        count = self.scale["test_images"]
        sets = {column: evaluation_set(world, split, count, self.cache) for column, (world, split) in there.items()}
        return {"IN1K": self.tried} | sets

    @cached_property
    def easy(self) -> np.ndarray:
        model = untrained(self.scale, REFERENCE_SEED)
        guesses = class_probe(features(model, self.learned.images, pool="mean"), self.learned.labels)
        return guesses.predict(features(model, self.tried.images, pool="mean")) == self.tried.labels

    @cached_property
    def palettes(self) -> np.ndarray:
        """The designer of each test image, which is independent of its class."""
        return self.truths[1]["designer"].numpy()

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        look = self.look(reader, model)
        x, tokens = {}, {}
        for column, one in self.sets.items():
            if model is None:
                x[column] = pooled(reader, None, one.images, self.scale["patch"])
            else:
                tokens[column], x[column] = both(model, one.images)
        scores = self._on_sets(look.probe, x, "")
        if look.token is not None:
            scores |= self._on_sets(look.token, tokens, " (class token)")
            scores["class probe (class token)"] = scores["IN1K (class token)"]
        scores |= {"class probe": scores["IN1K"]} | self._levels(look.mean, x["IN1K"])
        task = look.mean, self.learned.labels, x["IN1K"], self.tried.labels
        scores["class by neighbours"] = nearest_neighbours(*task).hits
        scores |= self._digits(reader, model)
        if reader != ("nothing",):
            scores |= self._purity(x["IN1K"]) | self._across(look.mean, x["IN1K"])
        return {metric: np.asarray(values, dtype=float) for metric, values in scores.items()}

    def _on_sets(self, probe: Pipeline, x: dict[str, np.ndarray], suffix: str) -> Scores:
        hits = {column: probe.predict(x[column]) == one.labels for column, one in self.sets.items()}
        if not self.easy.all():
            hits["IN-A"] = hits["IN1K"][~self.easy]
        return {column + suffix: hits[column] for column in (*SETS, "silhouettes") if column in hits}

    def _levels(self, learned: np.ndarray, tried: np.ndarray) -> Scores:
        (known, asked), scores = self.truths, {}
        for level in ("group", "subgroup", "designer"):
            guesses = class_probe(learned, known[level].numpy()).predict(tried)
            scores[f"{level} probe"] = guesses == asked[level].numpy()
        pose = ridge_probe(learned, known["pose"].flatten(1).numpy(), tried, asked["pose"].flatten(1).numpy())
        scores["pose probe"] = (1 - pose.squared_errors / asked["pose"].flatten(1).numpy().var(0)).mean(1, dtype=float)
        return scores

    def _across(self, gallery: np.ndarray, queries: np.ndarray) -> Scores:
        (known, asked) = ({name: values.numpy() for name, values in of.items()} for of in self.truths)
        return across_hands(gallery, known["class"], known["designer"], queries, asked["class"], asked["designer"])

    def _purity(self, x: np.ndarray) -> Scores:
        plane = tsne(x[self.drawn])
        labels = {"class": self.tried.labels, "designer": self.palettes}
        return {f"purity of the {what}": neighbour_purity(plane, of[self.drawn]) for what, of in labels.items()}


def wider(world: Drawings) -> Drawings:
    """The same with nuisances a quarter wider."""
    low, high = world.scale
    more = {name: min(1.0, 1.25 * getattr(world, name)) for name in ("shift", "slope", "noise", "light", "tint")}
    scale = max(0.2, 0.9 * low), min(3.0, 1.1 * high)
    return replace(world, scale=scale, turn=min(180.0, 1.25 * world.turn), **more)


def odd_pose(world: Drawings) -> Drawings:
    """The same turned further, smaller, and shifted more."""
    low, high = world.scale
    scale = max(0.2, 0.6 * low), max(0.2, 0.7 * high)
    return replace(world, scale=scale, turn=min(180.0, 70 + world.turn), shift=min(1.0, 2 * world.shift))
