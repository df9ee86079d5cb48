"""Real images that ship inside dependencies, behind the worlds' interface: nothing is downloaded.

Crops of scikit-image's photographs, labelled by the photograph, and scikit-learn's handwritten digits. Their latent
hierarchy is not known, so `hierarchy` is None. Train and test share no pixel.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import LongTensor, Tensor
from torch.nn.functional import interpolate, pad

from mae_lib.randomness import integers
from mae_lib.worlds.world import Described, Level, Sample, require

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


class _Real(Described):
    """What both sets share: one class label, no hierarchy, two splits."""

    @property
    def levels(self) -> dict[str, Level]:
        return {"class": Level("class", 1, values=self.classes)}

    def sample(self, indices: LongTensor, split: str = "train") -> Sample:
        """The images with these numbers. Raises ValueError for a split that is neither train nor test."""
        require(split in ("train", "test"), "split", split, "train or test")
        labels, images = self._draw(indices.cpu(), split)
        labels = labels.to(indices.device)
        return Sample(images.to(indices.device), labels, {"class": labels})


@dataclass(frozen=True)
class Photographs(_Real):
    """Random square crops of twelve photographs: the left half of each for training, the right half for testing.

    A crop's side is between `size` and half of the photograph's shorter side; it is resized to `size` and flipped at
    random.
    """

    name: ClassVar[str] = "photographs"

    size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        require(8 <= self.size <= 128, "size", self.size, "in 8, ..., 128: the photographs are small")

    @property
    def classes(self) -> int:
        return len(PHOTOGRAPHS)

    @cached_property
    def photographs(self) -> list[Tensor]:
        """All twelve, uint8 (3, height, width). Raises ModuleNotFoundError where scikit-image is not installed."""
        spec = find_spec("skimage")
        if spec is None:
            raise ModuleNotFoundError("the photographs come with scikit-image: install mae_lib[notebooks]")
        folder = Path(spec.submodule_search_locations[0]) / "data"
        loaded = (np.asarray(Image.open(folder / file).convert("RGB")) for file in PHOTOGRAPHS)
        return [torch.from_numpy(image.copy()).permute(2, 0, 1) for image in loaded]

    def _draw(self, indices: Tensor, split: str) -> tuple[Tensor, Tensor]:
        labels = integers(self.classes, self.seed, indices, f"{split}/photograph")
        numbers = integers(1 << 30, self.seed, indices, f"{split}/crop", (4,)).tolist()
        crops = [self._crop(label, split, row) for label, row in zip(labels.tolist(), numbers, strict=True)]
        return labels, torch.stack(crops)

    def _crop(self, label: int, split: str, numbers: list[int]) -> Tensor:
        photograph = self.photographs[label]
        height, width = photograph.shape[1], photograph.shape[2] // 2
        largest = max(self.size, min(photograph.shape[1:]) // 2)
        side = self.size + numbers[0] % (largest - self.size + 1)
        top = numbers[1] % (height - side + 1)
        left = numbers[2] % (width - side + 1) + (width if split == "test" else 0)
        crop = photograph[None, :, top : top + side, left : left + side].float() / 255
        crop = interpolate(crop, size=(self.size, self.size), mode="bilinear", antialias=True)[0].clamp(0, 1)
        return crop.flip(-1) if numbers[3] % 2 else crop


@dataclass(frozen=True)
class Digits(_Real):
    """scikit-learn's 1,797 handwritten digits, originally 8 x 8: the first 1,300 for training, the rest for testing.

    Image i is digit i modulo their number, so beyond that they repeat, each time with a new random shift.
    """

    name: ClassVar[str] = "digits"

    size: int = 32
    seed: int = 0
    shift: int = 2  # largest shift in pixels, either way

    def __post_init__(self) -> None:
        require(self.size >= 8, "size", self.size, "8 or more")
        require(0 <= self.shift <= self.size // 8, "shift", self.shift, f"in 0, ..., {self.size // 8} at this size")

    @property
    def classes(self) -> int:
        return 10

    @cached_property
    def _digits(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Images (n, 1, size + 2 shift, size + 2 shift) in [0, 1] and labels (n,) of each split."""
        from sklearn.datasets import load_digits

        images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
        images = images.float().view(-1, 1, 8, 8) / 16
        images = interpolate(images, size=(self.size, self.size), mode="bilinear")
        images = pad(images, (self.shift,) * 4)
        return {"train": (images[:1300], labels[:1300]), "test": (images[1300:], labels[1300:])}

    def _draw(self, indices: Tensor, split: str) -> tuple[Tensor, Tensor]:
        images, labels = self._digits[split]
        which = indices % len(labels)
        starts = integers(2 * self.shift + 1, self.seed, indices, f"{split}/shift", (2,)).tolist()
        shifted = [
            image[:, y : y + self.size, x : x + self.size] for image, (y, x) in zip(images[which], starts, strict=True)
        ]
        return labels[which].long(), torch.stack(shifted).expand(-1, 3, -1, -1).contiguous()
