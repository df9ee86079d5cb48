"""A folder of your own images behind the worlds' interface, so that the same configs and commands run on it.

Every image is decoded once, resized to what training can use, and kept in the runs folder. A run's address depends on
the files in the folder, not on its location. Training sees random crops, evaluation the centre of each image.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import LongTensor, Tensor

from mae_lib.data.files import Broken, Folder, Images, Unreadable
from mae_lib.data.loading import Visits, default_workers
from mae_lib.data.own_images import digest, own_images, splits
from mae_lib.data.packs import Pixels, pack
from mae_lib.data.views import as_tensor, evaluation_view
from mae_lib.folders import runs_folder
from mae_lib.training.batches import Batches
from mae_lib.worlds.world import Described, Level, Sample, require

if TYPE_CHECKING:
    from mae_lib.training.config import PretrainConfig
    from mae_lib.training.hardware import Hardware

_MEASURED = 1000  # images used for mean and deviation


@dataclass(frozen=True)
class ImageFolder(Described):
    """The images below `root` at `size` pixels; subfolders are classes, if no image lies next to them.

    A split is a share of the images, chosen by a hash of their names, so that new files do not move old ones. Files
    that cannot be read are left out and named. Raises ValueError for an option out of range, and DataError, from
    whatever first needs the files, for a folder without images or with too many broken ones.
    """

    name: ClassVar[str] = "folder"
    from_files: ClassVar[bool] = True
    sections: ClassVar[str] = "mae_lib.studies.folder"

    size: int = 32
    root: str = ""
    crop: tuple[float, float] = (0.2, 1.0)  # share of an image's area in a pretraining crop
    flip: bool = True  # mirror half of the images visited
    test: float = 0.2  # share of the images that are never trained on
    probe: float = 0.0  # share reserved for a probe; if 0, it learns from the training images
    shorter: int | None = None  # pixels of an image's shorter side as stored; by default twice the size
    max_broken: float = 0.5  # largest share of unreadable files that a run tolerates

    def __post_init__(self) -> None:
        require(self.size >= 8, "size", self.size, "8 or more")
        require(bool(self.root), "root", self.root, "the folder of images, such as --set world_options.root=DIR")
        object.__setattr__(self, "crop", tuple(self.crop))
        fits = len(self.crop) == 2 and 0 < self.crop[0] <= self.crop[1] <= 1
        require(fits, "crop", self.crop, "two shares of the area, the smaller first, in (0, 1]")
        require(0 < self.test < 1, "test", self.test, "a share of the images, in (0, 1)")
        require(0 <= self.probe < 1 - self.test, "probe", self.probe, f"a share in [0, {1 - self.test:g})")
        enough = self.shorter is None or self.shorter >= self.size
        require(enough, "shorter", self.shorter, f"{self.size} pixels or more, or null for {2 * self.size}")
        require(0 <= self.max_broken <= 1, "max_broken", self.max_broken, "a share, in [0, 1]")

    @cached_property
    def _found(self) -> tuple[Folder, tuple[str, ...]]:
        return own_images(self.root)

    @property
    def files(self) -> Folder:
        """All of its image files, including those that cannot be read."""
        return self._found[0]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The subfolders that are classes; empty where there are none."""
        return self._found[1]

    @property
    def classes(self) -> int:
        return max(1, len(self.class_names))

    @property
    def levels(self) -> dict[str, Level]:
        return {"class": Level("class", 1, values=self.classes)}

    @cached_property
    def _digest(self) -> str:
        place = hashlib.sha256(os.fsencode(self.files.root)).hexdigest()[:16]
        return digest(self.files, runs_folder() / "images" / f"folder-{place}.json")

    def spec(self) -> dict[str, Any]:
        """What determines the images: the files, not their location."""
        options = {name: getattr(self, name) for name in ("size", "flip", "test", "probe", "shorter")}
        return {"world": self.name, **options, "crop": list(self.crop), "files": self._digest}

    def address(self) -> dict[str, Any]:
        return self.spec() | {"version": self.version}

    @cached_property
    def _pixels(self) -> Pixels:
        """The images that can be read, decoded once and kept."""
        shorter = self.shorter or 2 * self.size
        folder = runs_folder() / "images" / f"folder-{self._digest}-{shorter}"
        return pack(self.files, folder, shorter, default_workers(), self.max_broken)

    @cached_property
    def _splits(self) -> dict[str, Pixels]:
        pixels = self._pixels
        chosen = splits(pixels.paths, self.probe, self.test)
        columns = ("starts", "shapes", "paths", "labels")
        return {
            split: replace(pixels, **{column: getattr(pixels, column)[numbers] for column in columns})
            for split, numbers in chosen.items()
        }

    def images(self, split: str) -> Images:
        """The images of "train", "probe" or "test" that can be read, in random order."""
        require(split in ("train", "probe", "test"), "split", split, "train, probe or test")
        return self._splits[split]

    @cached_property
    def skipped(self) -> dict[str, str]:
        """The files that cannot be read, by name, with the reason."""
        read, found = {*self._pixels.paths.tolist()}, {}
        for number, name in enumerate(self.files.paths.tolist()):
            if name not in read:
                found[os.fsdecode(name)] = _why(self.files, number)
        return found

    @cached_property
    def colours(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of red, green and blue over the pixels of up to 1,000 training images, in [0, 1]."""
        images = self.images("train")
        views = [as_tensor(evaluation_view(images.read(n), self.size)) for n in range(min(len(images), _MEASURED))]
        pixels = torch.stack(views).double().transpose(0, 1).flatten(1) / 255
        return pixels.mean(1), pixels.std(1)

    def sample(self, indices: LongTensor, split: str = "train") -> Sample:
        """The centres of these images. Raises ValueError for an index beyond the split."""
        images = self.images(split)
        most = int(indices.max()) if len(indices) else 0
        require(most < len(images), f"the number of an image of {split!r}", most, f"below {len(images)}, all there are")
        views = [as_tensor(evaluation_view(images.read(number), self.size)) for number in indices.tolist()]
        stacked = torch.stack(views) if views else torch.zeros(0, 3, self.size, self.size)
        labels = torch.from_numpy(images.labels)[indices.cpu()].to(indices.device)
        return Sample(stacked.float().div(255).to(indices.device), labels, {"class": labels})

    def batches(self, config: "PretrainConfig", hardware: "Hardware") -> Batches:
        """The batches of pretraining by (step, rows). A pass has `unique_images` images, or all if fewer."""
        images = self.images("train")
        count = min(config.unique_images, len(images))
        visits = Visits(images, self.size, count, self.crop, config.seed, self.flip)
        broken = Broken(self.files, self.max_broken)
        numbers = {os.fsdecode(name): number for number, name in enumerate(self.files.paths.tolist())}
        broken.reasons |= {numbers[name]: reason for name, reason in self.skipped.items()}
        return Batches(config, visits, broken, hardware)


def _why(files: Folder, number: int) -> str:
    try:
        files.read(number)
    except Unreadable as error:
        return str(error)
    return "it could not be read when the folder was decoded"
