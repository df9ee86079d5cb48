"""A detector's view of an image at a visit: large-scale jitter and a mirror, as functions of (seed, visit).

Large-scale jitter (Ghiasi et al. 2021, "Simple Copy-Paste"; ViTDet: 0.1 to 2) resizes an image so that its longer side
is a random multiple of the canvas, then crops a canvas from it, padded with black if the image is smaller.
"""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from mae_lib.randomness import uniform
from mae_lib.worlds.figurine_rendering import tight_boxes

Target = dict[str, Tensor]


def jittered(
    image: Tensor, target: Target, size: int, seed: int, visit: int, scales: tuple[float, float] | None, flip: bool
) -> tuple[Tensor, Target]:
    """An image, uint8 (3, H, W), and its target on a canvas of `size` pixels; without `scales` the longer side fits it.

    Boxes are recomputed from the cropped masks, and objects without pixels are dropped.
    """
    u = uniform(seed, torch.tensor([visit]), "jitter", (4,))[0].tolist()
    if flip and u[3] < 0.5:
        width = image.shape[-1]
        boxes = target["boxes"][:, [2, 1, 0, 3]]
        boxes[:, [0, 2]] = width - boxes[:, [0, 2]]
        image, target = image.flip(-1), target | {"masks": target["masks"].flip(-1), "boxes": boxes}
    if scales is None and image.shape[-2:] == (size, size):
        return image, target
    scale = 1.0 if scales is None else scales[0] + (scales[1] - scales[0]) * u[0]
    factor = scale * size / max(image.shape[-2:])
    shape = [max(1, round(side * factor)) for side in image.shape[-2:]]
    image = F.resize(image, shape, antialias=True)
    masks = F.resize(target["masks"], shape, interpolation=F.InterpolationMode.NEAREST)
    top, left = (int(chance * (max(0, side - size) + 1)) for chance, side in zip(u[1:3], shape))
    image, masks = F.crop(image, top, left, size, size), F.crop(masks, top, left, size, size)
    left_over = masks.flatten(1).any(1).bool()
    boxes = tight_boxes(masks[left_over].bool())
    kept = {name: value[left_over] for name, value in target.items() if name not in ("boxes", "masks")}
    return image, kept | {"boxes": boxes, "masks": masks[left_over]}
