"""Section 3's first question: does a trained encoder carry more class information than pixels or fresh weights?"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from torch import Tensor

from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.probes import features, linear_probe
from mae_lib.presets import SERIES_RATIO
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.training import MAE
from mae_lib.worlds import rendered


@dataclass(frozen=True)
class Pretraining(Section):
    """A linear probe of the class at ratio 0.75 and the scale's own unit; also of raw pixels and fresh weights."""

    name: ClassVar[str] = "pretraining"
    baselines: ClassVar[tuple[str, ...]] = ("untrained", "pixels")

    @cached_property
    def probe(self) -> tuple[Tensor, np.ndarray]:
        """Images that the probe learns from, uint8, and their classes."""
        return self._labelled("probe", self.scale["probe_images"])

    @cached_property
    def test(self) -> tuple[Tensor, np.ndarray]:
        """Test images, uint8, and their classes."""
        return self._labelled("test", self.scale["test_images"])

    def _labelled(self, split: str, count: int) -> tuple[Tensor, np.ndarray]:
        labels = ground_truth(self.world, split, count)["class"].numpy()
        return rendered(self.world, split, count, self.cache), labels

    def reads(self, mask: tuple[float, int, int]) -> bool:
        return mask[:2] == (SERIES_RATIO, self.scale["unit"])

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        task = []
        for images, labels in (self.probe, self.test):
            raw = model is None
            x = images.float().flatten(1).numpy() if raw else features(model, images, pool="mean")
            task += [x, labels]
        return {"class probe accuracy": linear_probe(*task).hits.astype(float)}
