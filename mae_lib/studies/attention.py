"""Section 3.2: how the last block's attention is distributed over an object of known outline."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mae_lib.metrics.attention import (
    area_under_curve,
    attention,
    attention_maps,
    attention_scores,
    object_queries,
    on_patches,
    part_shares,
)
from mae_lib.studies.section import Reader, Scores, Section, joined, over, unmeasured
from mae_lib.training import MAE
from mae_lib.worlds.world import Sample

METRICS = {  # of `attention_scores`
    "cls_object": "class token on the object",
    "cls_overlap": "overlap with the object",
    "cls_share": "share of the class token on the object",
    "token_object": "part token on the other parts",
    "token_part": "part token on its own part",
    "token_reach": "reach of a part token",
    "itself": "share on itself",
    "same_part": "share on its part",
    "other_parts": "share on other parts",
    "background": "share on the background",
}
APART = {  # areas under the curve, and how far each lies from 1/2
    METRICS["cls_object"]: "object set apart by the class token",
    METRICS["token_object"]: "other parts set apart by a part token",
}
SCORED = 1000  # images of a section whose scores cost more than a forward pass
CONTROL = "another image: "  # prefix of the scores of another image's map


@dataclass(frozen=True)
class Attention(Section):
    """Scores of head-averaged maps, of another image's maps (the control), and of the class token's map per head."""

    name: ClassVar[str] = "attention"
    baselines: ClassVar[tuple[str, ...]] = ("untrained", "uniform")

    @cached_property
    def sample(self) -> Sample:
        """Test images with their parts."""
        return self.world.sample(torch.arange(self.scale["test_images"]), "test")

    @cached_property
    def queries(self) -> Tensor:
        """The query tokens: the class token, then one of each part, (images, 1 + parts)."""
        return object_queries(self.sample.parts, self.scale["patch"])

    def of_maps(self, maps: Tensor) -> Scores:
        """The named scores of maps (images, 1 + parts, patches)."""
        scores = attention_scores(maps, self.queries, self.sample.parts, self.scale["patch"])
        named = {name: scores[key] for key, name in METRICS.items()}
        return named | {"part token off the background": 1 - scores["background"]}

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        patches = (self.world.size // self.scale["patch"]) ** 2
        if reader == ("uniform",):
            return self.of_maps(torch.full((*self.queries.shape, patches), 1 / patches))
        # Another image's map for the same query: the control for maps that do not depend on the image.
        another = attention(model, self.sample.images.roll(1, 0), self.queries)
        rows = attention(model, self.sample.images, self.queries)  # (images, heads, 1 + parts, 1 + patches)
        control = {CONTROL + name: score for name, score in self.of_maps(on_patches(another)).items()}
        return self.of_maps(on_patches(rows)) | control | self._by_head(rows[:, :, 0, 1:])

    def derived(self, scores: dict[Reader, Scores]) -> dict[Reader, Scores]:
        """Adds the distance of areas from 1/2, in either direction, and the overlap over that of a uniform map.

        Nothing in the loss fixes the sign: attention to the background separates the object just as well. The sign is
        that of the model's mean, so that the images' mean is |area - 1/2|.
        """
        apart = {
            reader: {new: np.sign(one[old].mean() - 0.5) * (one[old] - 0.5) for old, new in APART.items() if old in one}
            for reader, one in scores.items()
        }
        name = METRICS["cls_overlap"]
        gained = over(scores, name, ("uniform",), "uniform")
        named = {
            reader: {"overlap over that of a uniform map": one[f"{name} over uniform"]}
            for reader, one in gained.items()
        }
        return joined(scores, apart, named)

    def _by_head(self, maps: Tensor) -> Scores:
        """The class token's area under the curve for the object, from its maps (images, heads, patches)."""
        whole = part_shares(self.sample.parts, self.scale["patch"]).sum(1)[:, None]
        areas = area_under_curve(maps, whole, 1 - whole)
        return {f"{METRICS['cls_object']} (head {head})": area.numpy() for head, area in enumerate(areas.T, 1)}


@dataclass(frozen=True)
class AttentionWithoutOutlines(Attention):
    """The reach of the central token and its attention to itself; nothing that needs an outline."""

    @cached_property
    def sample(self):
        return self.world.sample(torch.arange(min(self.scale["test_images"], SCORED)), "test")

    @cached_property
    def queries(self) -> Tensor:
        """The class token, and the token at the image's centre, (images, 2)."""
        grid = self.world.size // self.scale["patch"]
        return torch.tensor([0, 1 + grid // 2 * grid + grid // 2]).expand(len(self.sample.images), -1)

    def of_maps(self, maps: Tensor) -> Scores:
        count, grid = len(maps), self.world.size // self.scale["patch"]
        place, here = torch.arange(grid**2), self.queries[:, 1] - 1
        across = torch.stack([place // grid, place % grid], 1).float()
        distance = (across[None] - across[here][:, None]).norm(dim=2) * self.scale["patch"] / self.world.size
        scores = unmeasured([*METRICS.values(), "part token off the background"], count)
        scores["share on itself"] = maps[:, 1].gather(1, here[:, None])[:, 0].numpy()
        return scores | {"reach of a part token": (maps[:, 1] * distance).sum(1).numpy()}

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        patches = (self.world.size // self.scale["patch"]) ** 2
        if reader == ("uniform",):
            return self.of_maps(torch.full((*self.queries.shape, patches), 1 / patches))
        images, queries = self.sample.images, self.queries
        another = attention_maps(model, images.roll(1, 0), queries).cpu()
        own = attention_maps(model, images, queries).cpu()
        return self.of_maps(own) | {CONTROL + name: score for name, score in self.of_maps(another).items()}
