"""What a model sees of an image: a random crop in training, the centre in evaluation, always square uint8.

The settings are those of MAE (He et al. 2022; facebookresearch/mae): in training a crop of random area and shape,
resized bicubically and mirrored half of the time; in evaluation the shorter side resized to 256 and the centre of 224.
"""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

BICUBIC = InterpolationMode.BICUBIC
VIEW_NUMBERS = 5  # random numbers that one training view takes
SHARE = 224 / 256  # of the resized image's shorter side that an evaluation sees
_LONGEST = 4 / 3  # ratio of a crop's sides, either way


def crop_box(height: int, width: int, u: list[float], scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """A crop (top, left, height, width) of a share of the area in `scale` and a shape in (3/4, 4/3), by `u` in [0, 1).

    The crop is drawn once and clipped to the image, as for MAE's linear probe; torchvision would draw up to ten times.
    """
    area = height * width * (scale[0] + (scale[1] - scale[0]) * u[0])
    shape = _LONGEST ** (2 * u[1] - 1)
    w, h = min(round(math.sqrt(area * shape)), width), min(round(math.sqrt(area / shape)), height)
    w, h = max(w, 1), max(h, 1)
    return int(u[2] * (height - h + 1)), int(u[3] * (width - w + 1)), h, w


def training_view(image: Image.Image, size: int, u: list[float], scale: tuple[float, float]) -> Image.Image:
    """A random crop of an RGB image at `size` pixels, mirrored or not, by five numbers `u` in [0, 1)."""
    view = F.resized_crop(image, *crop_box(image.height, image.width, u, scale), [size, size], BICUBIC)
    return F.hflip(view) if u[4] < 0.5 else view


def evaluation_view(image: Image.Image, size: int, share: float = SHARE) -> Image.Image:
    """The centre of `size` pixels of an RGB image whose shorter side was resized to `size / share`."""
    return F.center_crop(F.resize(image, int(size / share), BICUBIC), [size, size])


def as_tensor(image: Image.Image) -> Tensor:
    """An RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
