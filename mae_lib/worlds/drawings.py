"""Drawings: published artwork, the same concepts by eight designers, turned, lit and laid on a ground.

The designers share the concept; the designer, the colours, the pose, the light and the ground vary. Masks and boxes are
exact, since the drawings' borders are transparent. The pack is built once, see `drawing_pack.py`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import LongTensor, Tensor

from mae_lib.randomness import integers, uniform
from mae_lib.worlds.drawing_pack import HANDS, Pack, open_pack
from mae_lib.worlds.drawing_rendering import boxes_of, ground, laid, lit, placed
from mae_lib.worlds.world import Described, Level, Sample, require

_OUTLINES, _SHADOWS = ("openmoji-black",), ("fluent-high-contrast",)
_UNSEEN = ("twemoji", "noto")  # design houses that no probe sees
_SEEN = tuple(hand for hand in HANDS if hand not in _OUTLINES + _SHADOWS + _UNSEEN)
DESIGNERS = {"all": HANDS, "colour": _SEEN + _UNSEEN, "seen": _SEEN, "unseen": _UNSEEN}
VARIANTS = {  # the designers that replace the option's
    "clean": None,
    "unseen": _UNSEEN,
    "outline": _OUTLINES,
    "silhouette": _SHADOWS,
    "cue_conflict": _OUTLINES,
}


@dataclass(frozen=True)
class Drawings(Described):
    """A concept of the pack drawn by one of `designers`; the class is the concept.

    The variants `unseen`, `outline` and `silhouette` use other designers; `cue_conflict` fills a concept's outline with
    the colours of another concept, `textures`. Raises ValueError for an option out of range, FileNotFoundError without
    a pack.
    """

    name: ClassVar[str] = "drawings"
    sections: ClassVar[str] = "mae_lib.studies.drawings"
    from_pack: ClassVar[bool] = True

    size: int = 32  # side in pixels
    seed: int = 0
    designers: str | tuple[str, ...] = "all"  # or colour, seen, unseen, or names of designers
    concepts: int = 0  # the first N of the pack, whose order is random; 0 is all
    scale: tuple[float, float] = (0.7, 1.4)  # side of the drawing over that of the image
    turn: float = 30.0  # degrees, either way
    shift: float = 0.15  # of the drawing's centre, over the image's side, either way
    mirror: bool = True  # half of the drawings
    slope: float = 0.3  # of the ground, a gradient between two colours
    noise: float = 0.3  # of the ground, 1/f: octaves of equal strength
    light: float = 0.3  # from one side, over the whole image
    tint: float = 0.35  # of the drawing's colours, either way
    variant: str = "clean"
    pack: str = ""  # digest of the pack; checked where given

    def __post_init__(self) -> None:
        for name in ("designers", "scale"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        require(16 <= self.size <= 512, "size", self.size, "from 16 to 512")
        self._check_hands()
        low, high = self.scale
        require(0.2 <= low <= high <= 3, "scale", self.scale, "two numbers in order, from 0.2 to 3")
        require(0 <= self.turn <= 180, "turn", self.turn, "in [0, 180] degrees")
        for name in ("shift", "slope", "noise", "light", "tint"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "in [0, 1]")
        require(self.variant in VARIANTS, "variant", self.variant, f"one of {', '.join(VARIANTS)}")
        require(self.concepts == 0 or self.concepts >= 2, "concepts", self.concepts, "0 for all, or at least 2")

    def _check_hands(self) -> None:
        if isinstance(self.designers, str):
            require(
                self.designers in DESIGNERS,
                "designers",
                self.designers,
                f"one of {', '.join(DESIGNERS)}, or a list of designers",
            )
            return
        require(len(self.designers) > 0, "designers", self.designers, "at least one designer")
        for hand in self.designers:
            require(hand in HANDS, "designer", hand, f"one of {', '.join(HANDS)}")

    @cached_property
    def _pack(self) -> Pack:
        """Opened when first needed, so that results measured on it can be shown without it."""
        there = open_pack()
        wanted = f"0 for all, or from 2 to the pack's {len(there.concepts)}"
        require(self.concepts <= len(there.concepts), "concepts", self.concepts, wanted)
        require(self.pack in ("", there.digest), "pack", self.pack, f"{there.digest}, of the pack that is here")
        return there

    def address(self) -> dict[str, Any]:
        return super().address() | {"pack": self._pack.digest}

    def spec(self) -> dict[str, Any]:
        return super().spec() | {"pack": self._pack.digest}

    @property
    def classes(self) -> int:
        return self.concepts or len(self._pack.concepts)

    @cached_property
    def hands(self) -> tuple[str, ...]:
        """The designers that draw."""
        named = DESIGNERS[self.designers] if isinstance(self.designers, str) else self.designers
        return VARIANTS[self.variant] or named

    def names(self, what: str = "name") -> list[str]:
        """The `name`, `group`, `subgroup` or `hexcode` of each class."""
        return [concept[what] for concept in self._pack.concepts[: self.classes]]

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """The names behind the numbers of the levels group, subgroup and designer."""
        return {"group": sorted(set(self.names("group"))), "subgroup": sorted(set(self.names("subgroup")))} | {
            "designer": list(HANDS)
        }

    @property
    def levels(self) -> dict[str, Level]:
        many = {"class": self.classes} | {name: len(values) for name, values in self.values.items()}
        levels = {name: Level(name, 1, values=many[name]) for name in ("group", "subgroup", "class", "designer")}
        return levels | {"pose": Level("pose", 1, dim=4)}

    @cached_property
    def _above(self) -> dict[str, Tensor]:
        """The number of the group and of the subgroup of each class."""
        return {
            name: torch.tensor([self.values[name].index(value) for value in self.names(name)])
            for name in ("group", "subgroup")
        }

    @cached_property
    def _drawings(self) -> Tensor:
        """uint8 (designers, classes, 4, side, side), of the designers in use, no finer than the images need."""
        stored = self._pack.drawings[:, : self.classes]
        step = max(1, stored.shape[2] // self.size)
        while stored.shape[2] % step:
            step -= 1
        side = stored.shape[2] // step
        kept = np.zeros((len(HANDS), self.classes, 4, side, side), np.uint8)
        for number, name in enumerate(HANDS):
            if name in self.hands or (self.variant == "cue_conflict" and name == "openmoji"):
                blocks = stored[number].reshape(self.classes, side, step, side, step, 4)
                kept[number] = blocks.mean((2, 4), dtype=np.float32).round().transpose(0, 3, 1, 2)
        return torch.from_numpy(kept)

    def latents(self, indices: LongTensor, split: str = "train") -> dict[str, Tensor]:
        """All latents of these images, by name; all but `designer` are the same for every variant."""

        def unit(name: str, *shape: int) -> Tensor:
            return uniform(self.seed, indices, f"{split}/{name}", shape)

        def choice(high: int, name: str) -> Tensor:
            return integers(high, self.seed, indices, f"{split}/{name}")

        label = choice(self.classes, "class")
        hands = torch.tensor([HANDS.index(hand) for hand in self.hands], device=indices.device)
        low, high = self.scale
        # The tangent of half the angle: its sine and cosine are quotients, the same to the bit on every machine.
        most = float(np.tan(np.radians(self.turn) / 4)) if self.turn else 0.0
        quarter = most * (2 * unit("turn") - 1)
        half = 2 * quarter / (1 - quarter**2)
        z = {
            "class": label,
            "designer": hands[choice(len(hands), "designer")],
            "conflict": (label + 1 + choice(self.classes - 1, "conflict")) % self.classes,
            "shift": 2 * self.shift * (2 * unit("shift", 2) - 1),  # in half images
            "scale": low + (high - low) * unit("scale"),
            "turn": half,
            "mirror": choice(2, "mirror") * int(self.mirror),
            "tint": 1 + self.tint * (2 * unit("tint", 3) - 1),
            "light": self.light * (2 * unit("light", 2) - 1),
            "ground": 0.25 + 0.65 * unit("ground", 3),
            "slope": self.slope * (2 * unit("slope", 2, 3) - 1),
        }
        z |= {name: of.to(indices.device)[label] for name, of in self._above.items()}
        z["pose"] = torch.cat([z["shift"], z["scale"][:, None], z["turn"][:, None]], 1)[:, None]
        return z

    def picture(self, z: dict[str, Tensor]) -> Tensor:
        """The drawings of latents, as made: float32 (B, 4, S, S), colours times opacity, then opacity."""
        return self._drawings[z["designer"].cpu(), z["class"].cpu()].to(z["class"].device).float() / 255

    def sample(self, indices: LongTensor, split: str = "train") -> Sample:
        """The images with these numbers, on the device of `indices`."""
        z = self.latents(indices, split)
        chosen = self.picture(z)
        if self.variant == "cue_conflict":
            chosen = self._filled(chosen, z)
        drawing = placed(chosen, z, self.size)
        drawing = torch.cat([drawing[:, :3] * z["tint"][:, :, None, None], drawing[:, 3:]], 1)
        octaves = self.noise, self.seed, indices, f"{split}/noise"
        images = lit(laid(drawing, ground(z["ground"], z["slope"], self.size, *octaves)), z["light"])
        masks = drawing[:, 3:] > 0.5
        textures = z["conflict"] if self.variant == "cue_conflict" else None
        return Sample(images, z["class"], z, textures, masks, boxes_of(masks))

    def _filled(self, outline: Tensor, z: dict[str, Tensor]) -> Tensor:
        """Outlines (B, 4, S, S) over the colours of other concepts, within the shape of OpenMoji's colour drawing."""
        colours, own = self._drawings[HANDS.index("openmoji")], outline.device
        shape = colours[z["class"].cpu(), 3:].to(own).float() / 255
        other = colours[z["conflict"].cpu()].to(own).double() / 255
        mean = other[:, :3].sum((2, 3), keepdim=True) / other[:, 3:].sum((2, 3), keepdim=True).clamp(min=1)
        fill = (other[:, :3] + (1 - other[:, 3:]) * mean).float() * shape
        rest = 1 - outline[:, 3:]
        return outline + torch.cat([fill, shape], 1) * rest
