"""How a drawing becomes an image: placed, laid on a ground and lit. Images are in [0, 1], coordinates in half images.

Every step treats each image separately, with sums and products only, so an image is the same in any batch.
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from mae_lib.randomness import uniform


def _axes(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """x (1, 1, size) and y (1, size, 1) of the pixels' centres, in [-1, 1]."""
    axis = (2 * torch.arange(size, device=like.device, dtype=torch.float32) + 1) / size - 1
    return axis.view(1, 1, size), axis.view(1, size, 1)


def placed(drawings: Tensor, z: dict[str, Tensor], size: int) -> Tensor:
    """Drawings (B, 4, S, S) as they lie in images, (B, 4, size, size): scaled, turned, mirrored, shifted, in this order
    around their centres. `z["turn"]` is the tangent of half the angle."""
    x, y = _axes(size, drawings)
    t, scale = (z[name].view(-1, 1, 1) for name in ("turn", "scale"))
    cosine, sine = (1 - t * t) / (1 + t * t) / scale, 2 * t / (1 + t * t) / scale
    x, y = x - z["shift"][:, 0].view(-1, 1, 1), y - z["shift"][:, 1].view(-1, 1, 1)
    side = (1 - 2 * z["mirror"]).view(-1, 1, 1).float()
    grid = torch.stack([side * (cosine * x + sine * y), cosine * y - sine * x], dim=-1)
    return grid_sample(drawings, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def ground(colour: Tensor, slope: Tensor, size: int, noise: float, seed: int, indices: Tensor, stream: str) -> Tensor:
    """Grounds (B, 3, size, size) around `colour` (B, 3), not clamped: `slope` (B, 2, 3) along x and y, and 1/f noise of
    deviation near `noise` / 2, in octaves from half an image down to two pixels."""
    x, y = _axes(size, colour)
    made = colour[:, :, None, None] + slope[:, 0, :, None, None] * x + slope[:, 1, :, None, None] * y
    grids = [2**k for k in range(1, 10) if 2**k <= size // 2]
    if noise:
        for cells in grids:
            grains = uniform(seed, indices, f"{stream}{cells}", (3, cells, cells)) - 0.5
            wide = interpolate(grains, size=(size, size), mode="bilinear", align_corners=False)
            made = made + (3 / len(grids)) ** 0.5 * noise * wide
    return made


def laid(drawing: Tensor, under: Tensor) -> Tensor:
    """Drawings (B, 4, H, W), colours times opacity, over grounds (B, 3, H, W)."""
    return drawing[:, :3] + (1 - drawing[:, 3:]) * under.clamp(0, 1)


def lit(images: Tensor, light: Tensor) -> Tensor:
    """Images with light (B, 2) that grows along x and y, in [0, 1]."""
    x, y = _axes(images.shape[-1], images)
    fall = 1 + light[:, 0, None, None] * x + light[:, 1, None, None] * y
    return (images * fall[:, None]).clamp(0, 1)


def boxes_of(masks: Tensor) -> Tensor:
    """Boxes (B, objects, 4), x0, y0, x1, y1, around masks (B, objects, H, W), the ends exclusive; zeros if empty."""
    ends = []
    for axis in (-2, -1):
        line = masks.any(dim=axis)
        numbers = torch.arange(line.shape[-1], device=masks.device)
        ends.append((torch.where(line, numbers, line.shape[-1]).amin(-1), torch.where(line, numbers + 1, 0).amax(-1)))
    (x0, x1), (y0, y1) = ends
    return torch.stack([x0, y0, x1, y1], -1).float() * masks.any(-1).any(-1)[..., None]
