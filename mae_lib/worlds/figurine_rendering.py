"""From latents to pixels: figurines as unions of smooth shapes, anti-aliased, whole batches at a time.

Only +, -, x, / and square roots are used, whose IEEE rounding is unique: an image has the same bits for any batch and
number of threads. Hence rational rotations and polynomial waves.
"""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from mae_lib.randomness import bits

# Two colours of each palette, RGB; the last two palettes are held out of training.
PALETTES = torch.tensor(
    [
        [[1.00, 0.42, 0.36], [1.00, 0.84, 0.45]],  # coral, honey
        [[0.16, 0.75, 0.72], [0.70, 0.95, 0.80]],  # teal, mint
        [[0.55, 0.45, 0.95], [0.98, 0.72, 0.90]],  # violet, rose
        [[0.30, 0.58, 0.98], [0.80, 0.93, 1.00]],  # azure, ice
        [[0.45, 0.72, 0.25], [0.93, 0.95, 0.55]],  # moss, lime
        [[0.88, 0.28, 0.55], [0.75, 0.80, 0.85]],  # cherry, silver
    ]
)
PATTERNS = ("stripes", "checks", "dots", "rings", "diamonds", "steps")  # the last two are held out of training
PAPER = 0.05  # brightness of the paper under outlines
TRAIN_PATTERNS, TRAIN_PALETTES, TRAIN_TEXTURES, TEXTURES = 4, 4, 16, 20


def pattern_of(textures: Tensor) -> tuple[Tensor, Tensor]:
    """(pattern, palette) of textures in [0, 20): the first 16 are for training, 16 to 19 share nothing with them.

    Any four of the first 16, from a multiple of four, cover all patterns and all palettes.
    """
    held_out = textures >= TRAIN_TEXTURES
    pattern = torch.where(held_out, TRAIN_PATTERNS + textures % 2, textures % 4)
    palette = torch.where(held_out, TRAIN_PALETTES + textures // 2 % 2, (textures + textures // 4) % 4)
    return pattern, palette


def pixel_grid(size: int, device: torch.device) -> Tensor:
    """Pixel centres (x, y) in (-1, 1), y downwards: (2, size, size)."""
    axis = (torch.arange(size, device=device) * 2 + 1) / size - 1
    return torch.stack([axis.expand(size, size), axis[:, None].expand(size, size)])


def rotate(points: Tensor, half_tangent: Tensor) -> Tensor:
    """Rotate points (..., 2, H, W) by -theta, for tan(theta / 2) of shape (...)."""
    square = half_tangent * half_tangent
    cos = ((1 - square) / (1 + square))[..., None, None]
    sin = (2 * half_tangent / (1 + square))[..., None, None]
    x, y = points.unbind(-3)
    return torch.stack([cos * x + sin * y, cos * y - sin * x], dim=-3)


def object_frame(latents: dict[str, Tensor], size: int) -> Tensor:
    """Pixel positions in the figurine's own frame, where it fills (-1, 1)^2: (B, 2, H, W)."""
    points = pixel_grid(size, latents["shift"].device) - latents["shift"][:, :, None, None]
    return rotate(points, latents["turn"]) / latents["scale"][:, None, None, None]


def signed_distance(points: Tensor, styles: Tensor) -> Tensor:
    """Distance to a blob's edge in its own units, negative inside: (..., H, W).

    `points` (..., 2, H, W) in the blob's frame, `styles` (..., 4) of its quadrants: square, round, cut or hollow.
    All four pass through the ends of the axes, (1, 0) and (0, 1), so the edge is continuous.
    """
    x, y = points.unbind(-3)
    right, below = x > 0, y > 0
    upper_left, upper_right, lower_left, lower_right = styles[..., None, None, :].unbind(-1)
    style = torch.where(below, torch.where(right, lower_right, lower_left), torch.where(right, upper_right, upper_left))
    x, y = x.abs(), y.abs()
    square = torch.maximum(x, y) - 1
    round_ = (x * x + y * y).sqrt() - 1
    cut = (x + y - 1) * 0.70710678
    bite_x, bite_y = 1 - x, 1 - y
    hollow = torch.maximum(1 - (bite_x * bite_x + bite_y * bite_y).sqrt(), cut)
    return torch.where(style < 2, torch.where(style == 0, square, round_), torch.where(style == 2, cut, hollow))


def part_shapes(latents: dict[str, Tensor], frame: Tensor) -> tuple[Tensor, Tensor]:
    """Distances to the parts' edges in pixels (B, 4, H, W) and positions in the parts' frames (B, 4, 2, H, W)."""
    jitter = latents["jitter"]  # (B, 4, 4): shift x, shift y, half-tangent, scale
    centres = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]], device=frame.device)
    half_side = 0.5 * jitter[:, :, 3]
    points = frame[:, None] - (centres + jitter[:, :, :2])[..., None, None]
    points = rotate(points, jitter[:, :, 2]) / half_side[..., None, None, None]
    pixels = half_side * latents["scale"][:, None] * (frame.shape[-1] / 2)
    distance = signed_distance(points, latents["corners"].view(-1, 4, 4)) * pixels[..., None, None]
    return distance, points


def _wave(x: Tensor) -> Tensor:
    """A smooth wave of period 1 between 0 and 1, by a polynomial."""
    t = (2 * (x - x.floor()) - 1).abs()
    return t * t * (3 - 2 * t)


def pattern(latents: dict[str, Tensor], frame: Tensor) -> Tensor:
    """The fill pattern in [0, 1]: (B, H, W)."""
    weave = latents["weave"]  # (B, 4): half-tangent, phase x, phase y, periods across the figurine
    uv = rotate(frame, weave[:, 0]) * (weave[:, 3] / 2)[:, None, None, None] + weave[:, 1:3, None, None]
    u, v = uv.unbind(1)
    wave_u, wave_v = _wave(u), _wave(v)
    du, dv = u - u.floor() - 0.5, v - v.floor() - 0.5
    kind = pattern_of(latents["texture"])[0][:, None, None]
    checks = wave_u * wave_v + (1 - wave_u) * (1 - wave_v)
    dots = (1.6 - 12 * (du * du + dv * dv)).clamp(0, 1)
    rings = _wave((uv * uv).sum(1).sqrt())
    diamonds = (2.2 * (1 - du.abs() - dv.abs()) - 0.8).clamp(0, 1)
    steps = u - u.floor()
    fill = torch.where(kind == 0, wave_u, checks)
    for number, values in ((2, dots), (3, rings), (4, diamonds), (5, steps)):
        fill = torch.where(kind == number, values, fill)
    return fill


def material(latents: dict[str, Tensor], frame: Tensor) -> Tensor:
    """The colour of the textured material at each pixel: (B, 3, H, W)."""
    palette = PALETTES.to(frame.device)[pattern_of(latents["texture"])[1]] + latents["tint"]  # (B, 2, 3)
    weight = (0.5 + latents["contrast"][:, None, None] * (pattern(latents, frame) - 0.5))[:, None]
    return palette[:, 0, :, None, None] * (1 - weight) + palette[:, 1, :, None, None] * weight


def paper(latents: dict[str, Tensor], size: int) -> Tensor:
    """The paper under outlines: (B, 3, H, W)."""
    return torch.full((len(latents["shift"]), 3, size, size), PAPER, device=latents["shift"].device)


def background(latents: dict[str, Tensor], size: int) -> Tensor:
    """A soft gradient between two dark colours: (B, 3, H, W)."""
    grid = pixel_grid(size, latents["shift"].device)
    slope = latents["slope"]  # (B, 2) in [-1/2, 1/2]
    weight = (0.5 + 0.5 * (slope[:, :, None, None] * grid).sum(1))[:, None]
    colours = 0.03 + 0.2 * latents["ground"]  # (B, 2, 3)
    return colours[:, 0, :, None, None] * (1 - weight) + colours[:, 1, :, None, None] * weight


def lay_blob(image: Tensor, fill: Tensor | None, distance: Tensor, points: Tensor, shade: Tensor) -> Tensor:
    """Images (B, 3, H, W) with a blob over them, from `distance` to its edge in pixels and `points` in its frame.

    Without a `fill` (B, 3, H, W) its edge is drawn as a line on paper.
    """
    width = max(1, image.shape[-1] // 32)
    cover = (0.5 - distance).clamp(0, 1)[:, None]  # (B, 1, H, W): how much of a pixel the blob covers
    rim = cover + max_pool2d(-cover, 2 * width + 1, stride=1, padding=width)  # what an erosion removes
    if fill is None:
        colour = PAPER + 0.9 * rim
    else:
        # Light falls from the upper left; the rim is darker.
        x, y = points.clamp(-1, 1).unbind(1)
        light = shade[:, None, None] * (1 - 0.1 * (x + y))
        colour = fill * (light[:, None] * (1 - 0.4 * rim))
    return image + (colour - image) * cover


def lay_figurine(image: Tensor, latents: dict[str, Tensor], outlines: bool) -> tuple[Tensor, Tensor]:
    """Images (B, 3, size, size) with the figurine over them, and where its parts are: (B, size, size) int64, 0 to 4."""
    frame = object_frame(latents, image.shape[-1])
    distance, points = part_shapes(latents, frame)
    fill = None if outlines else material(latents, frame)
    for k in range(4):
        image = lay_blob(image, fill, distance[:, k], points[:, k], latents["shade"][:, k])
    order = torch.arange(1, 5, device=frame.device)[:, None, None]
    return image, ((distance < 0) * order).amax(1)  # a later part lies on top


def finished(image: Tensor, latents: dict[str, Tensor]) -> Tensor:
    """Images with grain, by day or night, in [0, 1]."""
    image = image + latents["noise"][:, None, None, None] * _grain(latents["grain"], image.shape[-1])
    # Day images are negatives, light around dark: brightness by itself is uninformative about the shape.
    image = torch.where(latents["day"][:, None, None, None] == 1, 1 - image, image)
    return image.clamp(0, 1)


def draw(latents: dict[str, Tensor], size: int, outlines: bool = False) -> tuple[Tensor, Tensor]:
    """Images (B, 3, size, size) in [0, 1] and part maps (B, size, size) int64: 0 is the ground, 1 to 4 are the parts.

    With `outlines`, lines on paper replace the material and the ground.
    """
    ground = paper(latents, size) if outlines else background(latents, size)
    image, parts = lay_figurine(ground, latents, outlines)
    return finished(image, latents), parts


def _grain(keys: Tensor, size: int) -> Tensor:
    """Uniform noise in [-1/2, 1/2): (B, 3, size, size). One hash provides three colours, 21 bits each."""
    hashed = bits(0, keys, "grain", (size, size))
    colours = [(hashed >> shift) & 0x1FFFFF for shift in (0, 21, 42)]
    return torch.stack(colours, 1).float() / (1 << 21) - 0.5


def tight_boxes(masks: Tensor) -> Tensor:
    """The smallest boxes around masks (..., H, W): float32 (..., 4) as x0, y0, x1, y1 in pixels, the ends exclusive."""
    edges = []
    for hit in (masks.any(-2), masks.any(-1)):
        size = hit.shape[-1]
        steps = torch.arange(size, device=masks.device)
        edges += [torch.where(hit, steps, size).amin(-1), torch.where(hit, steps + 1, 0).amax(-1)]
    x0, x1, y0, y1 = edges
    return torch.stack([x0, y0, x1, y1], -1).float()
