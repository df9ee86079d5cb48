"""Section 3 on drawings: the same scores under the same names, read from a hundred concepts by the designers `seen`.

New draws by the same designers stand for IN1K, other designers for IN-R, outlines for IN-S; the other columns of Table
1 are wider nuisances and odd poses. All sections read the class with one probe of a reader, fitted once.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import Tensor
from torch.nn import functional as F

from mae_lib.address import address
from mae_lib.evaluation.across_hands import across_hands
from mae_lib.evaluation.attention import area_under_curve, attention, overlap, patch_shares
from mae_lib.evaluation.ground_truth import ground_truth
from mae_lib.evaluation.reconstruction import pixel_mask, reconstruction_scores, score_reconstructions
from mae_lib.evaluation.robustness import SETS, EvaluationSet, evaluation_set
from mae_lib.evaluation.sections.attention import CONTROL, Attention, averaged
from mae_lib.evaluation.sections.attention import METRICS as MAPS
from mae_lib.evaluation.sections.pretraining import Pretraining
from mae_lib.evaluation.sections.reconstruction import METRICS as FIGURE_5
from mae_lib.evaluation.sections.reconstruction import Reconstruction, named
from mae_lib.evaluation.sections.section import Reader, Scores, Section, untrained
from mae_lib.evaluation.sections.separability import REFERENCE_SEED, Separability, pooled
from mae_lib.evaluation.sections.shape_bias import CUES, ShapeOrTexture
from mae_lib.evaluation.sections.shape_bias import METRICS as CUE_METRICS
from mae_lib.evaluation.separability import (
    class_probe,
    features,
    nearest_neighbours,
    neighbour_purity,
    ridge_hits,
    ridge_probe,
    tsne,
)
from mae_lib.evaluation.shape_bias import shape_bias
from mae_lib.training import MAE
from mae_lib.worlds import rendered
from mae_lib.worlds.drawings import Drawings
from mae_lib.worlds.world import Sample

CONCEPTS = 100  # that are read, where a scale has no `probe_concepts`
MASKED = {
    "ssim": "masked SSIM",
    "fsim": "masked FSIM",
    "psnr_masked": "masked PSNR",
    "mse_masked": "masked negative MSE",
}
MOSAIC = "mosaic: "  # prefix of the scores of a picture of means instead of predictions
APART = "class token tells object and background apart"
_CUES_LEARNED = 4000  # images that the probes of a single cue learn from


@dataclass(frozen=True)
class Look:
    """What a reader makes of the images that probes learn from, and its probe of the class; `token` for encoders."""

    mean: np.ndarray
    probe: Pipeline
    token: Pipeline | None


_kept: dict[str, Look] = {}  # that of the last reader, which the sections ask for one after another


class OnDrawings:
    """What the sections share: the images that probes learn from and are tried on."""

    world: Drawings
    scale: Mapping[str, Any]

    @cached_property
    def read_world(self) -> Drawings:
        """The concepts that are read, by the designers that a probe sees."""
        concepts = min(self.scale.get("probe_concepts", CONCEPTS), self.world.classes)
        return replace(self.world, designers="seen", concepts=concepts, variant="clean")

    @cached_property
    def learned(self) -> EvaluationSet:
        return evaluation_set(self.read_world, "probe", self.scale["probe_images"], self.cache)

    @cached_property
    def tried(self) -> EvaluationSet:
        return evaluation_set(self.read_world, "test", self.scale["test_images"], self.cache)

    def look(self, reader: Reader, model: MAE | None) -> Look:
        """The last reader's is kept: by its weights, so never another's."""
        weights = b"" if model is None else b"".join(v.cpu().numpy().tobytes() for v in model.encoder_state().values())
        who = hashlib.sha256(weights).hexdigest() if weights else reader
        key = address(self.read_world.address(), self.scale["probe_images"], self.scale["patch"], who)
        if key not in _kept:
            _kept.clear()
            _kept[key] = self._looked(reader, model)
        return _kept[key]

    def _looked(self, reader: Reader, model: MAE | None) -> Look:
        labels = self.learned.labels
        if model is None:
            x = pooled(reader, None, self.learned.images, self.scale["patch"])
            return Look(x, class_probe(x, labels), None)
        token, mean = both(model, self.learned.images)
        return Look(mean, class_probe(mean, labels), class_probe(token, labels))


def both(model: MAE, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The class token and the mean token of images, each float32 (B, width)."""
    return tuple(np.split(features(model, images, pool="both"), 2, axis=1))


@dataclass(frozen=True)
class DrawnPretraining(OnDrawings, Pretraining):
    """The mean token's probe at ratio 0.75, beside fresh weights and raw pixels, which ridge regression reads."""

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        learned, tried = self.learned, self.tried
        if model is None:
            x = [one.images.float().flatten(1).numpy() for one in (learned, tried)]
            hits = ridge_hits(x[0], learned.labels, x[1], tried.labels)
        else:
            hits = self.look(reader, model).probe.predict(features(model, tried.images, pool="mean")) == tried.labels
        return {"class probe accuracy": hits.astype(float)}


@dataclass(frozen=True)
class DrawnReconstruction(OnDrawings, Reconstruction):
    """Figure 5, and with masked input, where the picture is pasted together of what is visible and what is predicted.

    `mosaic: ...` are the scores of the same pictures with the mean colour of each mask unit instead of predictions.
    """

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        hidden = self.masks(reader).sample(seed=2023, step=0, rows=self.indices)
        scores = named(score_reconstructions(model, self.images), FIGURE_5)
        scores |= named(score_reconstructions(model, self.images, hidden), MASKED)
        scores |= self._mosaic(reader[1], pixel_mask(hidden, self.world.size, self.world.size))
        if self.photographs:
            scores |= named(score_reconstructions(model, self.crops), FIGURE_5, "photographs: ")
        return scores

    def _mosaic(self, unit: int, hidden: Tensor) -> Scores:
        means = mosaic(self.images, unit)
        pasted = torch.where(hidden[:, None], means, self.images)
        scores = named(reconstruction_scores(self.images, means), FIGURE_5, MOSAIC)
        return scores | named(reconstruction_scores(self.images, pasted, hidden), MASKED, MOSAIC)


def mosaic(images: Tensor, unit: int) -> Tensor:
    """Images (B, 3, H, W) with each square of `unit` pixels in its mean colour; what stands over is a square, too."""
    means = F.avg_pool2d(images, unit, ceil_mode=True).repeat_interleave(unit, 2).repeat_interleave(unit, 3)
    return means[..., : images.shape[2], : images.shape[3]]


@dataclass(frozen=True)
class DrawnAttention(OnDrawings, Attention):
    """Where the class token looks, against true outlines. Drawings have no parts, so what is of parts is not measured.

    A map may tell object and background apart by looking at the background: `APART` is the distance of the area under
    the curve from 0.5. Images in which nothing of the drawing is to be seen, or nothing else, are left out.
    """

    @cached_property
    def sample(self) -> Sample:
        numbers = torch.arange(self.scale["test_images"])
        shares = self.read_world.sample(numbers, "test").masks.flatten(1).float().mean(1)
        return self.read_world.sample(numbers[(shares > 0) & (shares < 1)], "test")

    @cached_property
    def queries(self) -> Tensor:
        """The class token, (images, 1)."""
        return torch.zeros(len(self.sample.images), 1, dtype=torch.int64)

    @cached_property
    def object(self) -> Tensor:
        """The share of each patch that the drawing covers, (images, patches)."""
        return patch_shares(self.sample.masks, self.scale["patch"])[:, 0]

    def of_maps(self, maps: Tensor) -> Scores:
        """The named scores of maps (images, 1, patches)."""
        area = area_under_curve(maps[:, 0], self.object, 1 - self.object)
        found = {
            MAPS["cls_object"]: area,
            APART: (area - 0.5).abs(),
            MAPS["cls_overlap"]: overlap(maps[:, 0], self.object),
            MAPS["cls_share"]: (maps[:, 0] * self.object).sum(-1),
        }
        return {name: score.double().numpy() for name, score in found.items()}

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        if reader == ("uniform",):
            patches = self.object.shape[1]
            return self.of_maps(torch.full((*self.queries.shape, patches), 1 / patches))
        rows = attention(model, self.sample.images, self.queries)
        own = averaged(rows)
        another = {CONTROL + name: score for name, score in self.of_maps(own.roll(1, 0)).items()}
        return self.of_maps(own) | another | self._by_head(rows[:, :, 0, 1:])

    def _by_head(self, maps: Tensor) -> Scores:
        inside = self.object[:, None]
        areas = area_under_curve(maps, inside, 1 - inside)
        return {f"{MAPS['cls_object']} (head {head})": area.numpy() for head, area in enumerate(areas.T, 1)}


@dataclass(frozen=True)
class DrawnSeparability(OnDrawings, Separability):
    """Probes of every level, by mean token; of the class by class token, too, on every set: `... (class token)`.

    And what is near what without a probe, see `across_hands`.
    """

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
        """The designer of each test image, who has nothing to do with its class."""
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


@dataclass(frozen=True)
class DrawnShapeOrTexture(OnDrawings, ShapeOrTexture):
    """Outlines of one concept filled with the colours of another, read by the probe that colour drawings taught.

    On those, shape and colours always agree; how much colours tell of the concept cannot be set, so there is one
    strength. Beside the bias, its accuracies and the share `decided`, which of the two cues has the higher logit,
    `shape rather than texture`, for every image; and what a probe reads of one cue, where it learned from conflicts.
    """

    @property
    def strengths(self) -> list[float]:
        return [float(self.cue_strength)]

    @cached_property
    def conflict(self) -> Drawings:
        return replace(self.read_world, variant="cue_conflict")

    @cached_property
    def cues(self) -> dict[str, dict[str, np.ndarray]]:
        """The concepts of the outline, "class", and of the colours, "texture", of either split's images."""
        found = {}
        for split, count in self._counts.items():
            z = self.conflict.latents(torch.arange(count), split)
            found[split] = {"class": z["class"].numpy(), "texture": z["conflict"].numpy()}
        return found

    @property
    def _counts(self) -> dict[str, int]:
        return {"probe": min(_CUES_LEARNED, self.scale["probe_images"]), "test": self.scale["test_images"]}

    @cached_property
    def images(self) -> dict[str, Tensor]:
        """Images with cues in conflict, by split."""
        return {split: rendered(self.conflict, split, count, self.cache) for split, count in self._counts.items()}

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        probe = self.look(reader, model).probe
        x = {split: features(model, images, pool="mean") for split, images in self.images.items()}
        shape, texture = self.cues["test"]["class"], self.cues["test"]["texture"]
        found = shape_bias(probe.predict(x["test"]), shape, texture)
        scores = dict(zip(CUE_METRICS, (found.contributions, found.shape_hits, found.texture_hits)))
        scores |= {f"{metric} at {self.cue_strength:g}": values for metric, values in scores.items()}
        logits, rows = probe.decision_function(x["test"]), np.arange(len(shape))
        places = [np.searchsorted(probe.classes_, cue) for cue in (shape, texture)]
        scores["shape rather than texture"] = logits[rows, places[0]] > logits[rows, places[1]]
        scores["decided"] = found.shape_hits | found.texture_hits
        for cue, metric in CUES.items():
            own = class_probe(x["probe"], self.cues["probe"][cue])
            scores[metric] = own.predict(x["test"]) == self.cues["test"][cue]
        return {metric: np.asarray(values, dtype=float) for metric, values in scores.items()}


SECTIONS: dict[str, type[Section]] = {
    section.name: section
    for section in (DrawnPretraining, DrawnReconstruction, DrawnAttention, DrawnSeparability, DrawnShapeOrTexture)
}
