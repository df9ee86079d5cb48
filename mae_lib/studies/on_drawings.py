"""What the sections on drawings share: the concepts, the images, and a reader's class probe."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from torch import Tensor

from mae_lib.address import address
from mae_lib.metrics.probes import class_probe, features
from mae_lib.metrics.robustness import EvaluationSet, evaluation_set
from mae_lib.studies.section import Reader
from mae_lib.studies.separability import pooled
from mae_lib.training import MAE, Hardware, PretrainConfig
from mae_lib.training.supervised import supervised
from mae_lib.worlds.drawings import Drawings

CONCEPTS = 100  # if a scale has no `probe_concepts`
SUPERVISED_IMAGES = 60_000  # visits of a supervised encoder if a scale has no `supervised_images`


@dataclass(frozen=True)
class Look:
    """A reader's features of the probes' training images, and its class probe; `token` for encoders."""

    mean: np.ndarray
    probe: Pipeline
    token: Pipeline | None


_kept: dict[str, Look] = {}  # the last reader's, which the sections request in turn


class OnDrawings:
    """What the sections share: the training and test images of the probes."""

    world: Drawings
    scale: Mapping[str, Any]

    @cached_property
    def read_world(self) -> Drawings:
        """The concepts to read, by the designers that a probe sees."""
        concepts = min(self.scale.get("probe_concepts", CONCEPTS), self.world.classes)
        return replace(self.world, designers="seen", concepts=concepts, variant="clean")

    @property
    def laid_out(self) -> int:
        return min(10, self.scale.get("probe_concepts", CONCEPTS))

    @cached_property
    def learned(self) -> EvaluationSet:
        return evaluation_set(self.read_world, "probe", self.scale["probe_images"], self.cache)

    @cached_property
    def tried(self) -> EvaluationSet:
        return evaluation_set(self.read_world, "test", self.scale["test_images"], self.cache)

    def supervised(self, seed: int, device: str) -> MAE:
        """An encoder trained on labels of these concepts, on draws other than the probes'."""
        visits = self.scale.get("supervised_images", SUPERVISED_IMAGES)
        unique = min(self.scale["unique_images"], -(-visits // 3))
        config = PretrainConfig.from_scale(dict(self.scale), seed=seed)
        hardware = Hardware(device, progress=False)
        return supervised(config, self.read_world, visits, unique, self.cache, hardware=hardware)

    def look(self, reader: Reader, model: MAE | None) -> Look:
        """A reader's features of the images; the last reader's are cached, identified by its weights."""
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
