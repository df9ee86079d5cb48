"""Low-level tasks and a high-level one, from frozen encoders: colour, texture, exact pixels, denoising; and class.

All probes are linear. Class, texture and colour are read from the mean patch token, pixels from each patch's own token,
to test whether the encoder *kept* them, not whether a decoder could invent them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from mae_lib import randomness
from mae_lib.metrics.node_probes import patch_features, ridge_hits
from mae_lib.metrics.probes import ridge_probe
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.training import MAE
from mae_lib.training.mae import patchify
from mae_lib.worlds import rendered
from mae_lib.worlds.figurine_clutter import ground_colours

NOISE = 0.15  # deviation of the normal noise, of pixels in [0, 1]
_LEARNED = 1000  # training images for the pixel probes, 64 patches each
TASKS = {  # metric -> what is read
    "class read": "class, accuracy",
    "texture read": "texture, accuracy",
    "ground colour read": "colours of the ground, R²",
    "pixels read": "own pixels, R²",
    "noise removed": "share of noise removed",
}
LOW_LEVEL = tuple(TASKS)[1:]


@dataclass(frozen=True)
class LowLevel(Section):
    """The `TASKS` on the figurines; `noise removed` is 1 - error of the denoised image / error of the noisy one."""

    name: ClassVar[str] = "low_level"
    version: ClassVar[int] = 2  # version 1 read a ground that cluttered images do not show
    baselines: ClassVar[tuple[str, ...]] = ("untrained",)

    @cached_property
    def images(self) -> dict[str, Tensor]:
        """Training images for the probes, and test images: uint8."""
        return {split: rendered(self.world, split, count, self.cache) for split, count in self._counts.items()}

    @cached_property
    def noisy(self) -> dict[str, Tensor]:
        """`images` with normal noise, as from `noised`: float32 in [0, 1]."""
        return {split: noised(some) for split, some in self.images.items()}

    @cached_property
    def truths(self) -> dict[str, dict[str, Tensor]]:
        """Class, texture and the ground's two colours (images, 6)."""
        found = {}
        for split, count in self._counts.items():
            z = self.world.latents(torch.arange(count), split)
            ground = ground_colours(z) if "thing_textures" in z else z["ground"]  # clutter has its own ground
            found[split] = {"class": z["class"], "texture": z["texture"], "ground": ground.flatten(1)}
        return found

    @property
    def _counts(self) -> dict[str, int]:
        return {"probe": self.scale["probe_images"], "test": self.scale["test_images"]}

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        seen = {split: patch_features(model, images) for split, images in self.images.items()}
        pooled = {split: tokens.mean(1) for split, tokens in seen.items()}
        learn, test = self.truths["probe"], self.truths["test"]
        scores = {
            f"{what} read": ridge_hits(pooled["probe"], learn[what], pooled["test"], test[what]).astype(float)
            for what in ("class", "texture")
        }
        errors = ridge_probe(pooled["probe"], learn["ground"], pooled["test"], test["ground"].numpy()).squared_errors
        scores["ground colour read"] = (1 - errors / test["ground"].numpy().var(0)).mean(1)
        clean = {split: patchify(images.float() / 255, model.patch).numpy() for split, images in self.images.items()}
        errors = _pixel_errors(seen, clean)
        scores["pixels read"] = 1 - errors / clean["test"].var((0, 1)).mean()
        dim = {split: patch_features(model, images) for split, images in self.noisy.items()}
        before = (self.noisy["test"] - self.images["test"].float() / 255).square().mean((1, 2, 3)).numpy()
        scores["noise removed"] = 1 - _pixel_errors(dim, clean) / before
        return scores


def noised(images: Tensor, noise: float = NOISE, seed: int = 0) -> Tensor:
    """uint8 images (B, 3, H, W) with normal noise of deviation `noise`, clipped to [0, 1]: float32."""
    grain = randomness.normal(seed, torch.arange(len(images)), "noise", tuple(images.shape[1:]))
    return (images.float() / 255 + noise * grain).clamp(0, 1)


def _pixel_errors(tokens: dict[str, np.ndarray], clean: dict[str, np.ndarray]) -> np.ndarray:
    """Mean squared error of each test image for a linear probe of pixels from tokens, shared by all positions."""
    x, y = (part["probe"][:_LEARNED].reshape(-1, part["probe"].shape[2]) for part in (tokens, clean))
    told = Ridge(alpha=1.0).fit(x, y).predict(tokens["test"].reshape(-1, x.shape[1]))
    return np.square(told.reshape(clean["test"].shape) - clean["test"]).mean((1, 2))
