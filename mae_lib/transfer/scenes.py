"""Scenes: several figurines at different scales and places on one canvas, with what a detector should find in them.

Every figurine is drawn by the figurines' own renderer on a tile and laid on the canvas; the first lies on top. They
share the canvas's ground, light and grain, so that only the shapes mark their borders. A figurine that others cover too
much is left out of the picture, so everything drawn is annotated.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import LongTensor, Tensor

from mae_lib.randomness import integers, uniform
from mae_lib.worlds.figurine_rendering import tight_boxes
from mae_lib.worlds.figurines import Figurines
from mae_lib.worlds.world import Described, require

_OF_THE_SCENE = ("slope", "ground", "day", "noise")  # latents that its figurines share
_FAR = 100.0  # half tiles: out of the picture


@dataclass(frozen=True)
class SceneBatch:
    """B scenes of at most K objects; an object is in the picture only if `present`."""

    images: Tensor  # (B, 3, H, W) float32 in [0, 1]
    present: Tensor  # (B, K) bool
    categories: Tensor  # (B, K) int64 in [0, categories)
    masks: Tensor  # (B, K, H, W) bool: the visible pixels of an object
    boxes: Tensor  # (B, K, 4) float32: x0, y0, x1, y1 in pixels around these, ends exclusive; zeros if absent


@dataclass(frozen=True)
class Scenes(Described):
    """Scenes of `objects[0]` to `objects[1]` figurines on a canvas; a category is a figurine's class.

    Scene i of a split is a function of (seed, split, i). Raises ValueError for an option out of range.
    """

    name: ClassVar[str] = "scenes"

    size: int = 64  # side of the canvas in pixels, a multiple of 16
    objects: tuple[int, int] = (1, 4)
    side: tuple[float, float] = (16.0, 40.0)  # of a figurine in pixels
    categories: int = 4  # classes of the figurines: 4, 8, 12 or 16, see `Figurines`
    least_visible: float = 0.3  # share of its own pixels that every object in the picture shows
    seed: int = 0

    def __post_init__(self) -> None:
        check_canvas(self.size, self.objects, self.side, self.least_visible, smallest=8)
        _ = self.figurines

    @cached_property
    def figurines(self) -> Figurines:
        """The world of single figurines on their tile, which is just large enough for the largest."""
        return Figurines(-(-int(self.side[1]) // 16) * 16, self.seed, self.categories)

    @property
    def names(self) -> list[str]:
        """The names of the categories."""
        return [f"class {number}" for number in range(self.categories)]

    def sample(self, indices: LongTensor, split: str = "train") -> SceneBatch:
        """The scenes with these indices, on the device of `indices`."""
        most, tile = self.objects[1], self.figurines.size
        numbers = indices[:, None] * most + torch.arange(most, device=indices.device)  # of the figurines
        split = f"{split}/scenes"
        z = self.figurines.latents(numbers.flatten(), split)
        z |= {name: z[name].view(len(indices), most, *z[name].shape[1:])[:, :1] for name in _OF_THE_SCENE}
        z |= {name: z[name].expand(-1, most, *z[name].shape[2:]).flatten(0, 1) for name in _OF_THE_SCENE}
        small, large = self.side
        side = small + (large - small) * uniform(self.seed, numbers.flatten(), f"{split}/side")
        drawn = self.figurines.render(z | {"scale": side / tile})
        tiles = drawn.images.view(len(indices), most, 3, tile, tile)
        shapes = drawn.masks.view(len(indices), most, tile, tile)

        low, high = self.objects
        wanted = low + integers(high - low + 1, self.seed, indices, f"{split}/objects")
        place = uniform(self.seed, numbers.flatten(), f"{split}/place", (2,)).view(len(indices), most, 2)
        room = self.size - side.view(len(indices), most, 1)  # the whole figurine fits
        corner = (place * room + (side.view(len(indices), most, 1) - tile) / 2).round().long()
        first = torch.arange(len(indices), device=indices.device) * most
        ground = {name: value[first] for name, value in z.items()}
        ground["shift"] = torch.full_like(ground["shift"], _FAR)
        image = replace(self.figurines, size=self.size).render(ground).images
        return self._compose(image, tiles, shapes, corner, wanted, z["class"].view(len(indices), most))

    def _compose(
        self, image: Tensor, tiles: Tensor, shapes: Tensor, corner: Tensor, wanted: Tensor, categories: Tensor
    ) -> SceneBatch:
        """Lay tiles (B, K, 3, t, t) with shapes (B, K, t, t) at corners (B, K, 2), x and y, from the top one down."""
        placed = [self._placed(tiles[:, k], shapes[:, k], corner[:, k]) for k in range(tiles.shape[1])]
        layers, whole = (torch.stack(parts, 1) for parts in zip(*placed))
        present, masks = seen_from_above(whole, wanted, self.least_visible)
        for k in range(tiles.shape[1]):
            image = torch.where(masks[:, k, None], layers[:, k], image)
        return SceneBatch(image, present, categories, masks, tight_boxes(masks) * present[:, :, None])

    def _placed(self, tiles: Tensor, shapes: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
        """Tiles (B, 3, t, t) and shapes (B, t, t) moved to their corners on the canvas; parts outside are cropped."""
        tile, axis = tiles.shape[-1], torch.arange(self.size, device=tiles.device)
        x, y = (axis - corner[:, i, None] for i in (0, 1))  # (B, size): a pixel's position on the tile
        on = ((x >= 0) & (x < tile))[:, None, :] & ((y >= 0) & (y < tile))[:, :, None]
        x, y = x.clamp(0, tile - 1), y.clamp(0, tile - 1)
        row = torch.arange(len(tiles), device=tiles.device)[:, None, None]
        taken = row, y[:, :, None], x[:, None, :]
        return tiles.permute(0, 2, 3, 1)[taken].permute(0, 3, 1, 2), shapes[taken] & on


def check_canvas(
    size: int, objects: tuple[int, int], side: tuple[float, float], least_visible: float, smallest: int
) -> None:
    """Raise ValueError for options that no scene can have; `smallest` is an object's smallest side in pixels."""
    few, many = objects
    small, large = side
    require(size > 0 and size % 16 == 0, "size", size, "a positive multiple of 16")
    require(0 <= few <= many and many >= 1, "objects", objects, "two numbers in order, the second at least 1")
    require(smallest <= small <= large <= size, "side", side, f"two lengths in order, from {smallest} to {size}")
    require(0 < least_visible <= 1, "least_visible", least_visible, "in (0, 1]")


def seen_from_above(shapes: Tensor, wanted: Tensor, least_visible: float) -> tuple[Tensor, Tensor]:
    """Which objects are in a scene, bool (B, K), and their visible pixels, bool (B, K, H, W).

    `shapes` (B, K, H, W) overlap, the first on top; `wanted` (B,) is how many count. An object that shows less than
    `least_visible` of its pixels is left out and covers nothing.
    """
    covered = torch.zeros_like(shapes[:, 0])
    present, masks = [], []
    for k, shape in enumerate(shapes.unbind(1)):
        seen = shape & ~covered
        kept = (k < wanted) & (seen.sum((1, 2)) >= least_visible * shape.sum((1, 2)).clamp(min=1))
        seen &= kept[:, None, None]
        covered |= seen
        present.append(kept)
        masks.append(seen)
    return torch.stack(present, 1), torch.stack(masks, 1)
