"""ImageNet-1K behind the worlds' interface, so that the same configs, commands and pages run on it.

Nothing is read until an image or the address of a run is requested. That address depends on the files, not on
their location. Training sees random crops, evaluation the centre of each image.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import LongTensor

from mae_lib.data.files import Broken, Images, readable
from mae_lib.data.loading import Visits, default_workers, fixed_order
from mae_lib.data.packs import resident
from mae_lib.data.views import as_tensor, evaluation_view
from mae_lib.imagenet.sets import V2_VARIANTS, cue_conflict, imagenet
from mae_lib.training.batches import Batches
from mae_lib.worlds.world import Described, Level, Sample, require

if TYPE_CHECKING:
    from mae_lib.training.config import PretrainConfig
    from mae_lib.training.hardware import Hardware

_SPLITS = {"train": "train", "probe": "train", "test": "val"}


@dataclass(frozen=True)
class ImageNet(Described):
    """ImageNet-1K at `size` pixels: splits "train" and "probe" are its training images, "test" its validation images.

    Image i of a split is its i-th in a fixed random order. Raises ValueError for an option out of range, and DataError,
    from whatever first needs the files, for a missing set.
    """

    name: ClassVar[str] = "imagenet"
    from_files: ClassVar[bool] = True
    sections: ClassVar[str] = "mae_lib.imagenet.sections"

    size: int = 224
    root: str | None = None  # folder with train/ and val/; by default what $MAE_LIB_IMAGENET names
    crop: tuple[float, float] = (0.2, 1.0)  # share of an image's area in a pretraining crop
    resident: bool = False  # keep the training images in memory, decoded
    max_broken: float = 0.001  # largest share of unreadable images that a run tolerates
    v2: str = "matched-frequency"  # which ImageNet-v2 a probe is scored on
    probe: Mapping[str, Any] = field(default_factory=dict, hash=False)  # fields of ProbeRecipe to change

    def __post_init__(self) -> None:
        require(self.size >= 8, "size", self.size, "8 or more")
        require(0 <= self.max_broken <= 1, "max_broken", self.max_broken, "a share, in [0, 1]")
        object.__setattr__(self, "crop", tuple(self.crop))
        require(self.v2 in V2_VARIANTS, "v2", self.v2, f"one of {', '.join(V2_VARIANTS)}")
        fits = len(self.crop) == 2 and 0 < self.crop[0] <= self.crop[1] <= 1
        require(fits, "crop", self.crop, "two shares of the area, the smaller first, in (0, 1]")

    @property
    def classes(self) -> int:
        return 1000

    @property
    def levels(self) -> dict[str, Level]:
        return {"class": Level("class", 1, values=self.classes)}

    def spec(self) -> dict[str, Any]:
        """What determines the images: the files, not their location."""
        files = {split: self.images(split).fingerprint for split in ("train", "val")}
        return {"world": self.name, "size": self.size, "crop": list(self.crop), "files": files}

    def address(self) -> dict[str, Any]:
        return self.spec() | {"version": self.version}

    def images(self, split: str) -> Images:
        """The files of "train" or "val", or their packed form. Raises DataError if they are missing."""
        root = self.root or os.environ.get("MAE_LIB_IMAGENET")
        return _opened(split, root, self.resident and split == "train")

    def sample(self, indices: LongTensor, split: str = "train") -> Sample:
        """The centres of these images; an unreadable one is replaced by the next."""
        require(split in _SPLITS, "split", split, f"one of {', '.join(_SPLITS)}")
        images = self.images(_SPLITS[split])
        require(int(indices.max()) < len(images), "an image's number", int(indices.max()), f"below {len(images)}")
        chosen = fixed_order(len(images))[indices.cpu()].tolist()
        read = [readable(images, number)[:2] for number in chosen]
        views = torch.stack([as_tensor(evaluation_view(image, self.size)) for image, _ in read]).float() / 255
        labels = torch.tensor([int(images.labels[number]) for _, number in read]).to(indices.device)
        return Sample(views.to(indices.device), labels, {"class": labels})

    def varied(self, variant: str | None = None, cue_strength: float | None = None) -> "ImageNet | CueConflictImages":
        """The cue-conflict images as a world for that variant; otherwise itself, since its textures cannot be set."""
        return CueConflictImages(self.size) if variant == "cue_conflict" else self

    def visits(self, count: int, crop: tuple[float, float], seed: int) -> Visits:
        """Random crops of the first `count` training images. Raises ValueError for more than exist."""
        images = self.images("train")
        wanted = f"at most {len(images)}, all there are" if count > 0 else "1 or more"
        require(0 < count <= len(images), "the number of training images", count, wanted)
        return Visits(images, self.size, count, crop, seed)

    def batches(self, config: "PretrainConfig", hardware: "Hardware") -> Batches:
        """The batches of pretraining by (step, rows): crops in [0, 1], and the output of `hidden_patches`."""
        visits = self.visits(config.unique_images, self.crop, config.seed)
        return Batches(config, visits, Broken(visits.images, self.max_broken), hardware)


@dataclass(frozen=True)
class CueConflictImages:
    """The images of Geirhos et al. (2019) at `size` pixels; labels and textures number the 16 entry-level classes."""

    size: int

    def sample(self, indices: LongTensor, split: str = "test") -> Sample:
        """The images with these indices in their fixed order; there is only one split."""
        found = cue_conflict()
        read = [readable(found.images, n)[:2] for n in fixed_order(len(found.images))[indices.cpu()].tolist()]
        views = torch.stack([as_tensor(evaluation_view(image, self.size, share=1.0)) for image, _ in read])
        shapes, textures = (torch.from_numpy(cue[[n for _, n in read]]) for cue in (found.shapes, found.textures))
        return Sample(views.float() / 255, shapes, {"class": shapes}, textures)


@cache  # a listing of a million files takes seconds
def _opened(split: str, root: str | None, in_memory: bool) -> Images:
    images = imagenet(split, root)
    return resident(images, default_workers()) if in_memory else images
