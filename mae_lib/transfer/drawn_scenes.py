"""Scenes of drawings: several of them, by different designers, on one ground in one light.

A category is a concept. What lies under a drawing shows through where the drawing is not opaque.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import LongTensor

from mae_lib.randomness import integers, uniform
from mae_lib.transfer.scenes import SceneBatch, check_canvas, seen_from_above
from mae_lib.worlds.drawing_rendering import boxes_of, ground, laid, lit, placed
from mae_lib.worlds.drawings import Drawings
from mae_lib.worlds.world import Described


@dataclass(frozen=True)
class DrawnScenes(Described):
    """Scenes of `objects[0]` to `objects[1]` drawings on a canvas, posed, coloured and lit as in the world of drawings.

    Scene i of a split is a function of (seed, split, i). Raises ValueError for an option out of range, and
    FileNotFoundError without the pack of drawings.
    """

    name: ClassVar[str] = "scenes of drawings"

    size: int = 64  # side of the canvas in pixels, a multiple of 16
    objects: tuple[int, int] = (1, 4)
    side: tuple[float, float] = (20.0, 40.0)  # of a drawing in pixels, its empty border included
    categories: int = 10  # the first concepts of the pack
    designers: str = "seen"
    least_visible: float = 0.5  # share of its own pixels that every object in the picture shows
    seed: int = 0

    def __post_init__(self) -> None:
        check_canvas(self.size, self.objects, self.side, self.least_visible, smallest=16)
        _ = self.drawings

    @cached_property
    def drawings(self) -> Drawings:
        """The world of single drawings, at the resolution of the largest in a scene."""
        return Drawings(int(self.side[1]), self.seed, self.designers, self.categories)

    @property
    def names(self) -> list[str]:
        """The names of the categories."""
        return self.drawings.names()

    def address(self) -> dict[str, Any]:
        return super().address() | {"drawings": self.drawings.address()}

    def sample(self, indices: LongTensor, split: str = "train") -> SceneBatch:
        """The scenes with these indices, on the device of `indices`."""
        count, most = len(indices), self.objects[1]
        numbers = (indices[:, None] * most + torch.arange(most, device=indices.device)).flatten()  # drawing indices
        split = f"{split}/scenes"
        z = self.drawings.latents(numbers, split)
        small, large = self.side
        side = small + (large - small) * uniform(self.seed, numbers, f"{split}/side")
        place = uniform(self.seed, numbers, f"{split}/place", (2,))
        centre = side[:, None] / 2 + place * (self.size - side[:, None])  # fits before rotation
        z |= {"scale": side / self.size, "shift": 2 * centre / self.size - 1}
        layers = placed(self.drawings.picture(z), z, self.size)
        layers = torch.cat([layers[:, :3] * z["tint"][:, :, None, None], layers[:, 3:]], 1)
        layers = layers.unflatten(0, (count, most))

        low, high = self.objects
        wanted = low + integers(high - low + 1, self.seed, indices, f"{split}/objects")
        present, masks = seen_from_above(layers[:, :, 3] > 0.5, wanted, self.least_visible)
        colour, slope, light = (z[name][::most] for name in ("ground", "slope", "light"))
        image = ground(colour, slope, self.size, self.drawings.noise, self.seed, indices, f"{split}/noise")
        for k in reversed(range(most)):
            image = laid(layers[:, k] * present[:, k, None, None, None], image)
        categories = z["class"].view(count, most)
        return SceneBatch(lit(image, light), present, categories, masks, boxes_of(masks))
