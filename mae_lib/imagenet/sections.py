"""Section 3 on ImageNet: the same scores under the same names, measured as the paper measures them.

The class is read by the paper's linear probe of the class token. ImageNet has no latents, outlines or adjustable
textures, so scores that need them are not measured: they are `NaN` for every reader, and decide no claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mae_lib.data.files import DataError, Images
from mae_lib.data.loading import centres, fixed_order
from mae_lib.folders import runs_folder
from mae_lib.imagenet.linear_probe import Read
from mae_lib.imagenet.scores import Probe, class_token, fit_probe, found_sets, patch_colours
from mae_lib.imagenet.sets import LabelledSet, cue_conflict
from mae_lib.metrics.robustness import EvaluationSet
from mae_lib.studies.attention import SCORED, AttentionWithoutOutlines
from mae_lib.studies.pretraining import Pretraining
from mae_lib.studies.reconstruction import Reconstruction
from mae_lib.studies.section import Reader, Scores, Section, unmeasured
from mae_lib.studies.separability import OF_A_CLASS, Separability, pooled
from mae_lib.studies.shape_bias import CUES, ShapeOrTexture
from mae_lib.studies.shape_bias import METRICS as CUE_METRICS
from mae_lib.training import MAE, Hardware, PretrainConfig

SHOWN = 8  # images of each set of Table 1 that a page may show


def probe_of(section: Section, reader: Reader, model: MAE | None) -> Probe:
    """The linear probe of a reader, shared by the sections; for a mask it is stored in its run."""
    who, folder = "-".join(map(str, reader)), runs_folder() / "scores"
    if len(reader) == 3:
        ratio, unit, seed = reader
        who = PretrainConfig.from_scale(section.scale, mask_ratio=ratio, unit=unit, seed=seed).name
        folder = runs_folder() / who
    elif reader[0] == "untrained":
        who += f"-{PretrainConfig.from_scale(section.scale).key}"  # the sizes of the encoder
    device = None if model is None else str(next(model.parameters()).device)
    read: Read = patch_colours(section.scale["patch"]) if model is None else class_token(model)
    return fit_probe(section.world, read, who, folder, section.scale["probe_images"], Hardware(device, progress=False))


class OnFiles:
    """Scores also depend on the files that they are computed on."""

    @property
    def options(self) -> dict[str, Any]:
        return super().options | {"files": {"world": self.world.spec(), **self.files()}}

    def files(self) -> dict[str, str]:
        """Fingerprints of the files used besides ImageNet's."""
        return {}


@dataclass(frozen=True)
class ImageNetPretraining(OnFiles, Pretraining):
    """The paper's probe at ratio 0.75, compared with patch colours and fresh weights."""

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        own = LabelledSet(self.world.images("val"))
        hits = probe_of(self, reader, model).hits(own, self.scale["test_images"])
        return {"class probe accuracy": hits.astype(float)}


@dataclass(frozen=True)
class ImageNetReconstruction(OnFiles, Reconstruction):
    """Figure 5 on up to 1,000 validation images, which are photographs themselves."""

    photographs: bool = False

    @cached_property
    def indices(self) -> Tensor:
        return torch.arange(min(self.scale["test_images"], SCORED))

    @cached_property
    def crops(self) -> Tensor:
        return self.images

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        if model.has_decoder:
            return super().measure(reader, model)
        names = ["SSIM", "FSIM", "PSNR", "negative MSE", "masked PSNR", "masked negative MSE"]
        return unmeasured(names, len(self.indices))


@dataclass(frozen=True)
class ImageNetAttention(OnFiles, AttentionWithoutOutlines):
    """Attention on photographs, which come without outlines."""


@dataclass(frozen=True)
class ImageNetSeparability(OnFiles, Separability):
    """Table 1 on its own sets; digits and t-SNE as on other worlds. The class is the only level.

    Raises DataError for a missing set of Table 1, which it names.
    """

    tokens_apart: ClassVar[bool] = False

    def files(self) -> dict[str, str]:
        return {column: one.images.fingerprint for column, one in self.table_1.items()}

    @cached_property
    def table_1(self) -> Mapping[str, LabelledSet]:
        """The six sets of Table 1, by column."""
        found = found_sets(self.world)
        if found.missing:
            raise DataError(f"Table 1 needs all six sets: {'; '.join(found.missing.values())}")
        return found.sets

    @cached_property
    def sets(self) -> dict[str, EvaluationSet]:
        """Images to be shown: under IN1K up to 40 validation images of each of ten classes, numbered 0 to 9; and the
        first few of every other set."""
        return {"IN1K": self._of_ten_classes()} | {
            column: self._views(one.images, fixed_order(len(one.images))[:SHOWN])
            for column, one in self.table_1.items()
            if column != "IN1K"
        }

    def _views(self, images: Images, numbers: Tensor) -> EvaluationSet:
        views, read = zip(*centres(images, numbers, self.world.size, self.world.max_broken))
        return EvaluationSet(torch.cat(views), images.labels[torch.cat(read).numpy()])

    def _of_ten_classes(self) -> EvaluationSet:
        images = self.world.images("val")
        there = np.unique(images.labels)
        ten = there[np.unique(np.linspace(0, len(there) - 1, 10).astype(int))]
        chosen = np.concatenate([np.flatnonzero(images.labels == label)[:OF_A_CLASS] for label in ten])
        found = self._views(images, torch.from_numpy(chosen))
        return EvaluationSet(found.images, np.searchsorted(ten, found.labels))

    @cached_property
    def drawn(self) -> np.ndarray:
        return np.arange(len(self.sets["IN1K"].labels))

    @cached_property
    def easy(self) -> np.ndarray:
        """No image: the hard ones form a separate set here."""
        return np.zeros(len(self.sets["IN1K"].labels), dtype=bool)

    @cached_property
    def palettes(self) -> np.ndarray:
        """Which of red, green and blue is strongest in each image drawn."""
        return self.sets["IN1K"].images.float().mean((2, 3)).argmax(1).numpy()

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        guess = self._most_frequent if reader == ("nothing",) else probe_of(self, reader, model).hits
        most = {"IN1K": self.scale["test_images"]}
        scores = {column: guess(one, most.get(column)) for column, one in self.table_1.items()}
        scores |= {"class probe": scores["IN1K"], "class probe (class token)": scores["IN1K"]}
        scores |= self._digits(reader, model)
        if reader != ("nothing",):
            scores |= self._purity(pooled(reader, model, self.sets["IN1K"].images, self.scale["patch"]))
        return {metric: np.asarray(values, dtype=float) for metric, values in scores.items()}

    def on_the_way(self, model: MAE) -> Scores:
        return {}  # the paper's probe takes hours

    def _most_frequent(self, one: LabelledSet, most: int | None) -> np.ndarray:
        """Which images are of the most frequent class of the training images."""
        always = np.bincount(self.world.images("train").labels, minlength=1000).argmax()
        numbers = fixed_order(len(one.images))[:most].numpy()
        return one.hits(torch.eye(1000)[[always]].expand(len(numbers), -1), one.images.labels[numbers])


@dataclass(frozen=True)
class ImageNetShapeOrTexture(OnFiles, ShapeOrTexture):
    """Table 2 on the cue-conflict images. The cue strength of texture cannot be set here, so there is only one."""

    def files(self) -> dict[str, str]:
        return {"cue conflict": cue_conflict().images.fingerprint}

    @property
    def strengths(self) -> list[float]:
        return [float(self.cue_strength)]

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        probe = probe_of(self, reader, model)
        found = probe.shape_bias()
        scores = dict(zip(CUE_METRICS, (found.contributions, found.shape_hits, found.texture_hits)))
        scores |= {f"{metric} at {self.cue_strength:g}": values for metric, values in scores.items()}
        own = LabelledSet(self.world.images("val"))
        scores |= unmeasured([CUES["texture"]], 1) | {CUES["class"]: probe.hits(own, self.scale["test_images"])}
        return {metric: np.asarray(values, dtype=float) for metric, values in scores.items()}


SECTIONS: dict[str, type[Section]] = {
    section.name: section
    for section in (
        ImageNetPretraining,
        ImageNetReconstruction,
        ImageNetAttention,
        ImageNetSeparability,
        ImageNetShapeOrTexture,
    )
}
