"""Section 3.1: reconstructions from whole images, from masked ones, and of photographs."""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import ClassVar

import torch
from torch import Tensor

from mae_lib.metrics.reconstruction import boundary_lead, score_reconstructions
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.training import MAE
from mae_lib.worlds import make_world

METRICS = {"ssim": "SSIM", "fsim": "FSIM", "psnr": "PSNR", "mse": "negative MSE"}  # Figure 5
_MASKED = {"psnr_masked": "masked PSNR", "mse_masked": "masked negative MSE"}
LEAD = "lead of hidden patches beside visible ones"


def named(scores: Scores, names: dict[str, str], prefix: str = "") -> Scores:
    """Scores under the names that `names` gives them; errors are negated, so that higher is better."""
    sign = {name: -1 if name.endswith("negative MSE") else 1 for name in names.values()}
    return {prefix + name: sign[name] * scores[key] for key, name in names.items()}


@dataclass(frozen=True)
class Reconstruction(Section):
    """Figure 5's scores of whole images; `masked ...`, of patches under its own masks; `photographs: ...`, of crops.

    `lead of hidden patches beside visible ones`: by how much their squared error is lower than that of other hidden
    patches.

    Photographs come with scikit-image and are left out if it is missing.
    """

    name: ClassVar[str] = "reconstruction"

    photographs: bool = find_spec("skimage") is not None

    @cached_property
    def indices(self) -> Tensor:
        return torch.arange(self.scale["test_images"])

    @cached_property
    def images(self) -> Tensor:
        """Test images, float32 in [0, 1]."""
        return self.world.sample(self.indices, "test").images

    @cached_property
    def crops(self) -> Tensor:
        """Equally many crops of photographs, float32 in [0, 1]."""
        return make_world("photographs", size=self.world.size).sample(self.indices, "test").images

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        hidden = self.masks(reader).sample(seed=2023, step=0, rows=self.indices)
        scores = named(score_reconstructions(model, self.images), METRICS)
        scores |= named(score_reconstructions(model, self.images, hidden), _MASKED)
        scores[LEAD] = boundary_lead(model, self.images, hidden)
        if self.photographs:
            scores |= named(score_reconstructions(model, self.crops), METRICS, "photographs: ")
        return scores
