"""The interface of every world: images with all latents, as a function of (seed, split, index).

A world is a frozen dataclass whose fields are its options, so `spec()` determines its images.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar, Protocol

from torch import LongTensor, Tensor

from mae_lib.address import settings
from mae_lib.theory import LatentHierarchy
from mae_lib.typed import hints, typed

_WORLDS = {
    "figurines": ("mae_lib.worlds.figurines", "Figurines"),
    "invertible_tree": ("mae_lib.worlds.invertible_tree", "InvertibleTree"),
    "photographs": ("mae_lib.worlds.real", "Photographs"),
    "digits": ("mae_lib.worlds.real", "Digits"),
    "drawings": ("mae_lib.worlds.drawings", "Drawings"),
}


@dataclass(frozen=True)
class Level:
    """The latents of one level: `latents[key]` is int64 (B, nodes) in [0, values), or float32 (B, nodes, dim).

    Exactly one of `values` (categorical) and `dim` (continuous) is given. A single categorical node is (B,).
    """

    key: str
    nodes: int
    values: int | None = None
    dim: int | None = None

    @property
    def categorical(self) -> bool:
        return self.values is not None


@dataclass(frozen=True)
class Sample:
    """A batch of B images and their ground truth; a field that a world lacks is None."""

    images: Tensor  # (B, 3, H, W) float32 in [0, 1]
    labels: Tensor  # (B,) int64, the class
    latents: dict[str, Tensor]  # each (B, ...)
    textures: Tensor | None = None  # (B,) int64
    masks: Tensor | None = None  # (B, objects, H, W) bool, True on the object
    boxes: Tensor | None = None  # (B, objects, 4) float32: x0, y0, x1, y1 in pixels, x1 and y1 exclusive
    parts: Tensor | None = None  # (B, H, W) int64, 0 is the background


class World(Protocol):
    """Image i of a split is the same image in any batch, to the bit on a CPU."""

    name: ClassVar[str]
    size: int  # side of an image in pixels

    @property
    def classes(self) -> int: ...

    @property
    def levels(self) -> Mapping[str, Level]:
        """The latents of each level, top first."""
        ...

    @cached_property
    def hierarchy(self) -> LatentHierarchy | None:
        """The generating DAG with pixel patches in raster order as observables; None for real images."""
        ...

    def spec(self) -> dict[str, Any]:
        """What determines the images, ready for JSON."""
        ...

    def address(self) -> dict[str, Any]:
        """What distinguishes its images from any other world's or version's, ready for JSON."""
        ...

    def sample(self, indices: LongTensor, split: str = "train") -> Sample:
        """The images with these numbers, on the device of `indices`."""
        ...


class Described:
    """What the worlds share: a description from their dataclass fields."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raised when the same options give other images than before
    # What only some worlds have.
    hierarchy: LatentHierarchy | None = None  # known latents
    sections: ClassVar[str | None] = None  # a module whose SECTIONS measure Section 3 on it instead of the common ones
    from_files: ClassVar[bool] = False  # its options determine less of its images than `spec`
    batches: ClassVar[Callable | None] = None  # (config, device, micro_batches), where images are too many to render
    resample: ClassVar[Callable | None] = None  # (indices, keep, split, draw): resampled images that keep some latents

    def varied(self, **options: Any) -> "World":
        """The same world with other options, such as its cue strength."""
        return replace(self, **options)

    def spec(self) -> dict[str, Any]:
        return {"world": self.name, **asdict(self)}

    def address(self) -> dict[str, Any]:
        return {"world": self.name, "version": self.version, **settings(self)}


def add_world(name: str, module: str, attribute: str) -> None:
    """Register a world from a later package, such as a data set, for `make_world`."""
    _WORLDS[name] = (module, attribute)


def world_class(name: str) -> Callable[..., World]:
    """The class behind a name. Raises ValueError for an unknown one."""
    if name not in _WORLDS:
        raise ValueError(f"world {name!r} is unknown: choose one of {', '.join(_WORLDS)}")
    module, attribute = _WORLDS[name]
    return getattr(import_module(module), attribute)


def make_world(name: str, **options: Any) -> World:
    """A world by name, e.g. `make_world("figurines", size=64, variant="sketch")`.

    Raises ValueError for a name or an option that does not exist, listing those that do, and for a value out of range.
    """
    world = world_class(name)
    known = hints(world)
    for option in options:
        if option not in known:
            raise ValueError(f"world {name!r} has no option {option!r}: it has {', '.join(known)}")
    return world(**{option: typed(option, value, known[option]) for option, value in options.items()})


def require(condition: bool, option: str, value: Any, wanted: str) -> None:
    """Raise ValueError, saying what is wanted, unless `condition` holds."""
    if not condition:
        raise ValueError(f"{option} is {value!r}: it must be {wanted}")


def need_latents(world: Any) -> None:
    """Check that a world has a hierarchy of known latents; raises ValueError if not, such as for ImageNet."""
    if world.hierarchy is None:
        raise ValueError(f"this page needs latents that are known, and {world.name} has none: run it at preset laptop")
