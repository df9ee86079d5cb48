"""Figurines: objects whose class is the arrangement of their parts, drawn with smooth shapes and many nuisances.

    z = world.latents(indices, "test")  # everything random, level by level
    world.render(z)                     # -> Sample

    # interventions: on the texture, and on the class with all that follows
    world.render(z | {"texture": (z["texture"] + 1) % 16})
    world.latents(indices, "test", do={"class": other})

Every variant but `second` is such an intervention, paired image by image with the clean set.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import LongTensor, Tensor

from mae_lib.randomness import integers, uniform
from mae_lib.theory import LatentHierarchy
from mae_lib.worlds.figurine_clutter import clutter_latents, draw_cluttered
from mae_lib.worlds.figurine_grammar import (
    CORNERS,
    PARTS,
    STYLES,
    SYMBOLS,
    corners_of,
    parts_of,
)
from mae_lib.worlds.figurine_nuisances import REGIMES, VARIANTS, ranges_of
from mae_lib.worlds.figurine_rendering import TEXTURES, TRAIN_TEXTURES, draw, tight_boxes
from mae_lib.worlds.world import Described, Level, Sample, require


@dataclass(frozen=True)
class Figurines(Described):
    """The grammar world: classes of 2 x 2 parts, 4 part symbols of 2 x 2 corners, 4 corner styles.

    Of the variants, `cue_conflict` has the texture of another class; `sketch` draws outlines; `rendition` has four
    held-out textures; `odd_pose` turns, shrinks and shifts further than in training; `second` is another draw with
    slightly wider nuisances. In the regime `cluttered` a figurine lies anywhere, at any of several scales and turns, in
    uneven light, among lone parts on a textured ground and partly hidden; its object masks, boxes and parts cover what
    can be seen.
    """

    name: ClassVar[str] = "figurines"

    size: int = 32  # side in pixels, a multiple of 16
    seed: int = 0
    classes: int = 12  # 4, 8, 12 or 16: any two parts determine the class; the fewer classes, the more one part reveals
    synonyms: int = 2  # ways to make a part of corners, 1 to 4: with 4 a single corner reveals nothing of its part
    jitter: float = 1.0  # of the parts within the figurine; 0 puts them on a grid
    texture_contrast: float = 1.0  # scales the contrast of the fill, 0 is plain
    cue_strength: float = 0.0  # probability that the texture is the class's own, beyond chance
    variant: str = "clean"
    regime: str = "plain"  # or "cluttered"

    def __post_init__(self) -> None:
        require(self.size > 0 and self.size % 16 == 0, "size", self.size, "a positive multiple of 16")
        require(self.classes in (4, 8, 12, 16), "classes", self.classes, "4, 8, 12 or 16")
        require(self.synonyms in range(1, SYMBOLS + 1), "synonyms", self.synonyms, "1, 2, 3 or 4")
        require(0 <= self.jitter <= 2, "jitter", self.jitter, "in [0, 2]")
        require(0 <= self.texture_contrast <= 1, "texture_contrast", self.texture_contrast, "in [0, 1]")
        require(0 <= self.cue_strength <= 1, "cue_strength", self.cue_strength, "in [0, 1]")
        require(self.variant in VARIANTS, "variant", self.variant, f"one of {', '.join(VARIANTS)}")
        require(self.regime in REGIMES, "regime", self.regime, f"one of {', '.join(REGIMES)}")

    @property
    def levels(self) -> dict[str, Level]:
        return {
            "class": Level("class", 1, values=self.classes),
            "parts": Level("parts", PARTS, values=SYMBOLS),
            "corners": Level("corners", CORNERS, values=STYLES),
            "texture": Level("texture", 1, values=TEXTURES),
            "pose": Level("pose", 1, dim=4),
        }

    @cached_property
    def hierarchy(self) -> LatentHierarchy:
        """class (z3) -> parts (z2) -> corners (z1) -> 8 x 8 patches, each of size / 8 pixels a side.

        It is exact for a figurine that fills the image, as those of the plain regime nearly do; in the cluttered one
        the patches are those of the figurine's own frame. Pose, texture, colours and ground affect every patch and are
        left out: as parents of all patches they would belong to c for every mask.
        """
        return LatentHierarchy.quadtree(8)

    def latents(self, indices: LongTensor, split: str = "train", do: dict[str, Any] | None = None) -> dict[str, Tensor]:
        """All latents of these images, by name. `do` fixes some, broadcast to their shape; the levels below follow.

        Raises ValueError for a name in `do` that is not a latent.
        """
        stream = f"{split}/second" if self.variant == "second" else split
        ranges = ranges_of(self.regime, self.variant)
        do, z = dict(do or {}), {}

        def unit(name: str, *shape: int) -> Tensor:
            return uniform(self.seed, indices, f"{stream}/{name}", shape)

        def choice(high: int, name: str, *shape: int) -> Tensor:
            return integers(high, self.seed, indices, f"{stream}/{name}", shape)

        def within(ends: tuple[float, float], name: str) -> Tensor:
            return ends[0] + (ends[1] - ends[0]) * unit(name)

        def put(name: str, value: Tensor) -> Tensor:
            fixed = do.pop(name, None)
            z[name] = value if fixed is None else torch.as_tensor(fixed, device=value.device).to(value).expand_as(value)
            return z[name]

        label = put("class", choice(self.classes, "class"))
        parts = put("parts", parts_of(label, self.classes))
        put("corners", corners_of(parts, put("synonyms", choice(self.synonyms, "synonyms", PARTS))))
        other = (label + 1 + choice(self.classes - 1, "conflict")) % self.classes
        put("texture", self._texture(label, other, choice(TRAIN_TEXTURES, "texture"), unit("cue")))
        scale = put("scale", within(ranges.scale, "scale"))
        far = torch.full_like(scale, ranges.shift)
        if ranges.overhang is not None:
            far = torch.minimum(far, 1 + ranges.overhang - scale)
        put("shift", far[:, None] * (2 * unit("shift", 2) - 1))
        put("turn", within(ranges.turn, "turn") * (2 * choice(2, "side") - 1))
        spread = torch.tensor([0.02, 0.02, 0.04, 0.04], device=indices.device) * self.jitter
        middle = torch.tensor([0.0, 0.0, 0.0, 0.98], device=indices.device)
        put("jitter", middle + spread * (2 * unit("jitter", PARTS, 4) - 1))
        put("day", choice(2, "day") * int(ranges.day))
        put("tint", 0.4 * (unit("tint", 2, 3) - 0.5))
        put("shade", 0.7 + 0.4 * unit("shade", PARTS))
        weave = unit("weave", 4)
        put("weave", torch.cat([2 * weave[:, :1] - 1, weave[:, 1:3], 2.5 + 1.5 * weave[:, 3:]], 1))
        put("contrast", self.texture_contrast * within(ranges.contrast, "contrast"))
        put("slope", ranges.slope * (2 * unit("slope", 2) - 1))
        put("ground", unit("ground", 2, 3))
        put("noise", within(ranges.noise, "noise"))
        put("grain", choice(1 << 62, "grain"))
        if ranges.clutter:
            for name, value in clutter_latents(ranges.clutter, unit, choice, self._shown).items():
                put(name, value)
        if do:
            raise ValueError(f"{', '.join(do)} is no latent of the figurines: they have {', '.join(z)}")
        # One vector for the probes, not a latent of its own.
        z["pose"] = torch.cat([z["shift"], z["scale"][:, None], z["turn"][:, None]], 1)[:, None]
        return z

    def _texture(self, label: Tensor, other: Tensor, free: Tensor, cue: Tensor) -> Tensor:
        """Texture k is class k's own; `other` is another class."""
        if self.variant == "rendition":
            return self._shown(free)
        if self.variant == "cue_conflict":
            return other
        return torch.where(cue < self.cue_strength, label, free)

    def _shown(self, numbers: Tensor) -> Tensor:
        """Textures of this variant, numbered from 0."""
        if self.variant == "rendition":
            return TRAIN_TEXTURES + numbers % (TEXTURES - TRAIN_TEXTURES)
        return numbers % TRAIN_TEXTURES

    def render(self, latents: dict[str, Tensor]) -> Sample:
        """Render latents from `latents`, edited or not."""
        drawn = draw_cluttered if "thing_textures" in latents else draw
        images, parts = drawn(latents, self.size, outlines=self.variant == "sketch")
        masks = (parts > 0)[:, None]
        return Sample(images, latents["class"], latents, latents["texture"], masks, tight_boxes(masks), parts)

    def sample(self, indices: LongTensor, split: str = "train") -> Sample:
        return self.render(self.latents(indices, split))

    def resample(self, indices: LongTensor, keep: tuple[str, ...], split: str = "train", draw: int = 1) -> Sample:
        """The same images with all latents but `keep` resampled: `keep=("class", "corners")` keeps the shape.

        Each `draw` has different values. Raises ValueError for a name in `keep` that is not a latent.
        """
        kept = self.latents(indices, split)
        return self.render(self.latents(indices, f"{split}/draw{draw}", do={name: kept.get(name) for name in keep}))
