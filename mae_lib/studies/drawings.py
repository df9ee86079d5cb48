"""Section 3 on drawings: the same scores under the same names, for a hundred concepts by the designers `seen`.

All sections share one class probe per reader, fitted once. Drawings have no parts, so scores of parts are not measured.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mae_lib.metrics.attention import area_under_curve, attention, on_patches, overlap, patch_shares
from mae_lib.metrics.probes import (
    class_probe,
    features,
    ridge_hits,
)
from mae_lib.metrics.reconstruction import boundary_lead, pixel_mask, reconstruction_scores, score_reconstructions
from mae_lib.metrics.shape_bias import shape_bias
from mae_lib.studies.attention import CONTROL, Attention
from mae_lib.studies.attention import METRICS as MAPS
from mae_lib.studies.drawn_separability import DrawnSeparability
from mae_lib.studies.on_drawings import OnDrawings
from mae_lib.studies.pretraining import Pretraining
from mae_lib.studies.reconstruction import LEAD, Reconstruction, named
from mae_lib.studies.reconstruction import METRICS as FIGURE_5
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.studies.shape_bias import CUES, ShapeOrTexture, first_images
from mae_lib.studies.shape_bias import METRICS as CUE_METRICS
from mae_lib.training import MAE
from mae_lib.worlds import rendered
from mae_lib.worlds.drawings import Drawings
from mae_lib.worlds.world import Sample

MASKED = {
    "ssim": "masked SSIM",
    "fsim": "masked FSIM",
    "psnr_masked": "masked PSNR",
    "mse_masked": "masked negative MSE",
}
MOSAIC = "mosaic: "  # prefix of the scores of means in place of predictions
APART = "class token tells object and background apart"
_CUES_LEARNED = 4000  # training images for the probes of a single cue


@dataclass(frozen=True)
class DrawnPretraining(OnDrawings, Pretraining):
    """The mean token's probe at ratio 0.75, against fresh weights, training on labels, and ridge on raw pixels."""

    baselines: ClassVar[tuple[str, ...]] = (*Pretraining.baselines, "supervised")

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
    """Figure 5; and with masked input, where the picture combines visible and predicted patches.

    `mosaic: ...` are the scores of the same pictures with the mean colour of each mask unit instead of predictions.
    """

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        hidden = self.masks(reader).sample(seed=2023, step=0, rows=self.indices)
        scores = named(score_reconstructions(model, self.images), FIGURE_5)
        scores |= named(score_reconstructions(model, self.images, hidden), MASKED)
        scores[LEAD] = boundary_lead(model, self.images, hidden)
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
    """Images (B, 3, H, W) with each square of `unit` pixels, and each remainder at an edge, in its mean colour."""
    means = F.avg_pool2d(images, unit, ceil_mode=True).repeat_interleave(unit, 2).repeat_interleave(unit, 3)
    return means[..., : images.shape[2], : images.shape[3]]


@dataclass(frozen=True)
class DrawnAttention(OnDrawings, Attention):
    """The class token's attention, compared with true outlines.

    A map may separate object and background by attending to the background: `APART` is the distance of the area under
    the curve from 0.5. Images that show nothing of the drawing, or nothing else, are left out.
    """

    baselines: ClassVar[tuple[str, ...]] = (*Attention.baselines, "supervised")

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
        own = on_patches(rows)
        another = {CONTROL + name: score for name, score in self.of_maps(own.roll(1, 0)).items()}
        return self.of_maps(own) | another | self._by_head(rows[:, :, 0, 1:])

    def _by_head(self, maps: Tensor) -> Scores:
        inside = self.object[:, None]
        areas = area_under_curve(maps, inside, 1 - inside)
        return {f"{MAPS['cls_object']} (head {head})": area.numpy() for head, area in enumerate(areas.T, 1)}


@dataclass(frozen=True)
class DrawnShapeOrTexture(OnDrawings, ShapeOrTexture):
    """Outlines of one concept filled with the colours of another, classified by the probe trained on colour drawings.

    In colour drawings shape and colours always agree; the cue strength of colours cannot be set, so there is only one.
    Besides the bias, its accuracies and the share `decided`, there is `shape rather than texture`, whether shape has
    the higher logit, for every image; and the accuracy of a probe of one cue that was trained on conflicts.
    """

    baselines: ClassVar[tuple[str, ...]] = (*ShapeOrTexture.baselines, "supervised")

    @property
    def strengths(self) -> list[float]:
        return [float(self.cue_strength)]

    @cached_property
    def conflict(self) -> Drawings:
        return replace(self.read_world, variant="cue_conflict")

    @property
    def examples(self) -> dict[str, Tensor]:
        return {"agree": first_images(self.read_world), "conflict": first_images(self.conflict)}

    @cached_property
    def cues(self) -> dict[str, dict[str, np.ndarray]]:
        """The concepts of the outline, "class", and of the colours, "texture", for the images of both splits."""
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
