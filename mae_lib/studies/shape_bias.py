"""Section 3.4: which of two cues a linear probe of the features follows, as texture predicts the class better."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.probes import features, linear_probe
from mae_lib.metrics.shape_bias import ShapeBias, has_own_texture, linear_decisions, shape_bias
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.training import MAE
from mae_lib.worlds import World, rendered

METRICS = ("shape bias", "shape accuracy", "texture accuracy")
CUES = {"class": "class read", "texture": "texture read"}  # each where the other is uninformative


def first_images(world: World, count: int = 6) -> Tensor:
    """The first test images of a world, (count, 3, H, W)."""
    return world.sample(torch.arange(count), "test").images


@dataclass(frozen=True)
class ShapeOrTexture(Section):
    """Table 2's shape bias with both accuracies at `cue_strength`, and `... at 0.5` for each of `cue_strengths`.

    A strength is the share of the probe's training images with their class's own texture, in [0, 1]. Every strength
    uses the same figurines, so a model encodes them only twice, in free and in own texture.
    """

    name: ClassVar[str] = "shape_bias"
    baselines: ClassVar[tuple[str, ...]] = ("untrained",)

    cue_strength: float = 1.0
    cue_strengths: tuple[float, ...] = (0.0, 0.5, 0.75, 1.0)

    @property
    def strengths(self) -> list[float]:
        """All strengths measured, from 0 to 1."""
        return sorted({0.0, *map(float, self.cue_strengths), float(self.cue_strength), 1.0})

    @cached_property
    def images(self) -> dict[str, Tensor]:
        """Probe images in free and in own texture; test images in free texture and with cues in conflict: uint8."""
        free, own = self.world.varied(cue_strength=0.0), self.world.varied(cue_strength=1.0)
        probe, test = self.scale["probe_images"], self.scale["test_images"]
        conflict = self.world.varied(variant="cue_conflict")
        places = {"free": (free, "probe", probe), "own": (own, "probe", probe)}
        places |= {"test": (free, "test", test), "conflict": (conflict, "test", test)}
        return {name: rendered(world, split, count, self.cache) for name, (world, split, count) in places.items()}

    @property
    def examples(self) -> dict[str, Tensor]:
        """The first test images with cues that agree, and the same with cues in conflict."""
        own, conflict = self.world.varied(cue_strength=1.0), self.world.varied(variant="cue_conflict")
        return {"agree": first_images(own), "conflict": first_images(conflict)}

    @cached_property
    def truths(self) -> dict[str, dict[str, Tensor]]:
        """The latents behind the images in free texture, and those with cues in conflict."""
        free, conflict = self.world.varied(cue_strength=0.0), self.world.varied(variant="cue_conflict")
        probe, test = self.scale["probe_images"], self.scale["test_images"]
        places = {"free": (free, "probe", probe), "test": (free, "test", test), "conflict": (conflict, "test", test)}
        return {name: ground_truth(*place) for name, place in places.items()}

    @cached_property
    def wears(self) -> dict[float, np.ndarray]:
        """Which probe images have their own texture at each strength: bool (images,)."""
        count = self.scale["probe_images"]
        worlds = {strength: self.world.varied(cue_strength=strength) for strength in self.strengths}
        return {strength: has_own_texture(world, count, "probe") for strength, world in worlds.items()}

    def decide(self, seen: dict[str, np.ndarray], strength: float) -> ShapeBias:
        """The shape bias of a probe on features `seen` of the four sets of images, trained at one strength."""
        x = np.where(self.wears[strength][:, None], seen["own"], seen["free"])
        decisions = linear_decisions(x, self.truths["free"]["class"].numpy(), seen["conflict"])
        cues = self.truths["test"]["class"].numpy(), self.truths["conflict"]["texture"].numpy()
        return shape_bias(decisions, *cues)

    def read(self, seen: dict[str, np.ndarray], cue: str) -> np.ndarray:
        """The test images whose cue a linear probe reads correctly if the other is uninformative: bool (images,)."""
        learn, test = (self.truths[name][cue].numpy() for name in ("free", "test"))
        return linear_probe(seen["free"], learn, seen["test"], test).hits

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        seen = {name: features(model, some, pool="mean") for name, some in self.images.items()}
        scores = {}
        for strength in self.strengths:
            found = self.decide(seen, strength)
            of_images = dict(zip(METRICS, (found.contributions, found.shape_hits, found.texture_hits)))
            scores |= {f"{metric} at {strength:g}": values for metric, values in of_images.items()}
            if strength == self.cue_strength:
                scores |= of_images
        scores |= {metric: self.read(seen, cue) for cue, metric in CUES.items()}
        return {metric: np.asarray(values, dtype=float) for metric, values in scores.items()}
