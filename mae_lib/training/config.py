"""The config of a pretraining run: everything that determines its result, checked before any work, and its address."""

import json
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import torch

from mae_lib.address import address, settings
from mae_lib.training.engine import TRAINER_VERSION, Schedule
from mae_lib.training.mae import MAE
from mae_lib.training.masks import MaskSampler
from mae_lib.training.structured_masks import BlockMasks, PartitionMasks, check_boundary
from mae_lib.typed import typed_fields
from mae_lib.worlds import World, make_world
from mae_lib.worlds.world import add_world, require, world_class

add_world("imagenet", "mae_lib.imagenet.world", "ImageNet")
add_world("folder", "mae_lib.training.folder", "ImageFolder")


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that determines a pretraining run. Raises ValueError for a value of the wrong type or out of range."""

    world: str = "figurines"
    world_options: dict[str, Any] = field(default_factory=dict, hash=False)  # of make_world, besides its size
    image_size: int = 32  # side in pixels
    unique_images: int = 50_000  # taken from the start of the world's train split
    patch: int = 4  # side in pixels
    unit: int = 8  # side of the mask unit in pixels, the paper's "patch size" s
    mask_ratio: float = 0.75
    partial_unit: bool = True  # see MaskSampler
    mask_shape: str = "units"  # or "blocks", contiguous and of any size: `unit` is then ignored
    mask_units: tuple[int, ...] | None = None  # the unit of each patch, instead of squares: see PartitionMasks
    boundary: int = 0  # masked patches within this distance of a visible one are left out of the loss
    width: int = 64
    depth: int = 4
    heads: int = 4
    decoder_width: int = 64
    decoder_depth: int = 1
    decoder_heads: int = 4
    norm_pixels: bool = False  # per-patch normalised target
    pixel_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)  # for standardising images
    pixel_std: tuple[float, float, float] = (0.3, 0.3, 0.3)
    class_tokens: int = 1  # their mean represents the image
    batch: int = 128
    images: int = 100_000  # images visited in total; an incomplete last batch is dropped
    lr: float = 2e-3  # absolute, at the end of the warm-up; the MAE paper's is 1.5e-4 x batch / 256
    warmup: float = 0.05  # fraction of the steps
    weight_decay: float = 0.05
    clip: float | None = None  # largest norm of the gradient
    flip: bool = False  # mirror half of the images visited
    seed: int = 0  # of weights, order, masks and flips; the world has its own seed

    def __post_init__(self) -> None:
        typed_fields(self)
        # A private copy; values that JSON cannot represent are refused.
        object.__setattr__(self, "world_options", json.loads(json.dumps(self.world_options)))
        world_class(self.world)
        for name in ("image_size", "unique_images", "batch", "images"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.images >= self.batch, "images", self.images, f"at least one batch, {self.batch}")
        require(min(self.pixel_std) > 0, "pixel_std", self.pixel_std, "above 0")
        require(self.lr > 0, "lr", self.lr, "above 0")
        require(0 <= self.warmup < 1, "warmup", self.warmup, "a fraction of the steps, in [0, 1)")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(self.clip is None or self.clip > 0, "clip", self.clip, "above 0, or null for none")
        require(-(2**63) <= self.seed < 2**63, "seed", self.seed, "a 64-bit integer")
        _check_sizes(**self._sizes())
        require(self.mask_shape in ("units", "blocks"), "mask_shape", self.mask_shape, "units or blocks")
        require(self.boundary >= 0, "boundary", self.boundary, "0 or more patches")
        self._check_units()
        masks = self.masks()
        if self.boundary:
            check_boundary(masks, self.boundary)

    @classmethod
    def from_scale(cls, scale: dict[str, Any], **overrides: Any) -> "PretrainConfig":
        """From a preset's `scale`, which may have other entries, and `overrides`, which may not."""
        known = {entry.name for entry in fields(cls)}
        for name in overrides:
            if name not in known:
                raise ValueError(f"pretraining has no setting {name!r}: choose among {', '.join(sorted(known))}")
        return cls(**{name: value for name, value in scale.items() if name in known} | overrides)

    @property
    def steps(self) -> int:
        return self.images // self.batch

    def model(self) -> MAE:
        """The model with fresh weights, drawn from torch's generator."""
        return MAE(**self._sizes())

    def _sizes(self) -> dict[str, Any]:
        sizes = ("image_size", "patch", "width", "depth", "heads", "decoder_width", "decoder_depth", "decoder_heads")
        pixels = ("norm_pixels", "pixel_mean", "pixel_std", "class_tokens")
        return {name: getattr(self, name) for name in sizes + pixels}

    def masks(self) -> MaskSampler | PartitionMasks | BlockMasks:
        if self.mask_shape == "blocks":
            return BlockMasks(self.image_size // self.patch, self.mask_ratio)
        if self.mask_units is not None:
            return PartitionMasks(self.mask_units, self.mask_ratio)
        return MaskSampler(self.image_size // self.patch, self.patch, self.unit, self.mask_ratio, self.partial_unit)

    def _check_units(self) -> None:
        patches = (self.image_size // self.patch) ** 2
        if self.mask_units is None:
            return
        given = f"{len(self.mask_units)} numbers"
        require(len(self.mask_units) == patches, "mask_units", given, f"one for each of {patches} patches")
        require(self.mask_shape == "units", "mask_shape", self.mask_shape, "units, where mask_units are given")
        require(self.partial_unit, "partial_unit", False, "true where mask_units, which may be uneven, are given")

    def schedule(self) -> Schedule:
        return Schedule(self.steps, self.batch, self.lr, self.warmup, self.weight_decay, clip=self.clip)

    def make_world(self) -> World:
        """The world at `image_size`. Raises ValueError if it cannot draw images of that size."""
        has_size = any(entry.name == "size" for entry in fields(world_class(self.world)))
        world = make_world(self.world, **({"size": self.image_size} if has_size else {}) | self.world_options)
        require(world.size == self.image_size, "image_size", self.image_size, f"{world.size}, what {self.world} draws")
        return world

    @property
    def key(self) -> str:
        """Ten hexadecimal digits of everything that determines the result: this config, its world, and the trainer's
        declared version."""
        return address(settings(self, without="world_options"), self.make_world().address(), TRAINER_VERSION)

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return f"{self.world}-r{self.mask_ratio:g}-u{self.unit}-s{self.seed}-{self.key}"


@cache  # nothing checked here differs between the masks of a series
def _check_sizes(**sizes: Any) -> None:
    with torch.device("meta"):  # build the model to check its sizes, using no memory
        MAE(**sizes)
