"""Cluttered figurines: on a textured ground, before lone parts, behind an occluder, in uneven light.

Nothing here depends on the class. Only operations with unique IEEE rounding are used, as in `figurine_rendering`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mae_lib.randomness import bits
from mae_lib.worlds.figurine_nuisances import Clutter
from mae_lib.worlds.figurine_rendering import (
    PALETTES,
    finished,
    lay_blob,
    lay_figurine,
    object_frame,
    paper,
    pattern,
    pattern_of,
    pixel_grid,
    rotate,
    signed_distance,
)

_CELLS = (2, 4, 8)  # of the smooth noise: from half an image to an eighth


def clutter_latents(
    ranges: Clutter,
    unit: Callable[..., Tensor],
    choice: Callable[..., Tensor],
    texture: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """The clutter of an image; `unit` and `choice` draw uniform numbers, `texture` maps numbers to textures.

    `things` are the ground, then the lone parts, then the occluder.
    """
    things = ranges.distractors + 2
    place = unit("place", ranges.distractors, 4)
    made = {
        "thing_textures": texture(choice(1 << 20, "thing_textures", things)),
        "thing_dim": ranges.dim[0] + (ranges.dim[1] - ranges.dim[0]) * unit("thing_dim", things),
        "ground_contrast": ranges.ground * unit("ground_contrast"),
        "lone_corners": choice(4, "lone_corners", ranges.distractors, 4),
        # x, y, half-tangent, and size against that of the figurine's parts
        "lone_pose": torch.cat([2 * place[..., :3] - 1, 0.8 + 0.4 * place[..., 3:]], -1),
        "light": ranges.light * (2 * unit("light", 2) - 1),
        "relief": ranges.relief * unit("relief"),
        "relief_grain": choice(1 << 62, "relief_grain"),
    }
    if ranges.occlusion[1]:
        low, high = ranges.occlusion
        made |= {
            "occlusion": low + (high - low) * unit("occlusion"),
            "front_corners": choice(2, "front_corners", 4),
            "front_pose": 2 * unit("front_pose", 3) - 1,  # x and y in the figurine's frame, half-tangent
        }
    return made


def draw_cluttered(latents: dict[str, Tensor], size: int, outlines: bool = False) -> tuple[Tensor, Tensor]:
    """Images (B, 3, size, size) in [0, 1] and the visible parts: (B, size, size) int64, 0 elsewhere."""
    image = paper(latents, size) if outlines else _ground(latents, size)
    for k in range(latents["lone_pose"].shape[1]):
        image = _lay_lone_part(image, latents, k, outlines)
    image, parts = lay_figurine(image, latents, outlines)
    if "occlusion" in latents:
        image, parts = _lay_front(image, parts, latents, outlines)
    return finished(image if outlines else image * _light(latents, size), latents), parts


def smooth_noise(keys: Tensor, name: str, size: int) -> Tensor:
    """Noise in (-1, 1) that is smooth at several scales, a function of the keys (B,): (B, size, size)."""
    total = torch.zeros(len(keys), size, size, device=keys.device)
    place = (torch.arange(size, device=keys.device) + 0.5) / size
    for octave, cells in enumerate(_CELLS):
        knots = (bits(0, keys, f"{name}{cells}", (cells + 1, cells + 1)) >> 39).float() / (1 << 23) - 1
        first = (place * cells).long()
        part = place * cells - first
        weight = part * part * (3 - 2 * part)
        rows = knots[:, first] * (1 - weight)[:, None] + knots[:, first + 1] * weight[:, None]
        total = total + (rows[..., first] * (1 - weight) + rows[..., first + 1] * weight) / (1 << octave)
    return total / sum(1 / (1 << octave) for octave in range(len(_CELLS)))


def ground_colours(latents: dict[str, Tensor]) -> Tensor:
    """The two colours of a cluttered image's ground, in [0, 1]: (B, 2, 3)."""
    return _palette(latents, 0)[..., 0, 0]


def _palette(latents: dict[str, Tensor], thing: int) -> Tensor:
    """The two colours of a thing: (B, 2, 3, 1, 1)."""
    colours = PALETTES.to(latents["shift"].device)[pattern_of(latents["thing_textures"][:, thing])[1]]
    return (colours * latents["thing_dim"][:, thing, None, None])[..., None, None]


def _ground(latents: dict[str, Tensor], size: int) -> Tensor:
    """Two colours of a palette in smooth patches: (B, 3, size, size)."""
    colours = _palette(latents, 0)
    uneven = smooth_noise(latents["relief_grain"], "ground", size)
    weight = (0.5 + latents["ground_contrast"][:, None, None] * uneven)[:, None]
    return colours[:, 0] * (1 - weight) + colours[:, 1] * weight


def _lay_lone_part(image: Tensor, latents: dict[str, Tensor], k: int, outlines: bool) -> Tensor:
    """Images with lone part k, which has the size of the figurine's own."""
    pose = latents["lone_pose"][:, k]
    side = (0.5 * pose[:, 3] * latents["scale"])[:, None, None]
    points = pixel_grid(image.shape[-1], image.device) - pose[:, :2, None, None]
    points = rotate(points, pose[:, 2]) / side[:, None]
    distance = signed_distance(points, latents["lone_corners"][:, k]) * (side * (image.shape[-1] / 2))
    fill = None
    if not outlines:
        of_it = {"texture": latents["thing_textures"][:, k + 1], "weave": latents["weave"]}
        weight = pattern(of_it, points / 2)[:, None]
        colours = _palette(latents, k + 1)
        fill = colours[:, 0] * (1 - weight) + colours[:, 1] * weight
    return lay_blob(image, fill, distance, points, torch.ones_like(pose[:, 0]))


def _lay_front(image: Tensor, parts: Tensor, latents: dict[str, Tensor], outlines: bool) -> tuple[Tensor, Tensor]:
    """Images with an occluder that hides the wanted share of the figurine's pixels, and the visible parts.

    Its centre lies on the figurine; the share determines its size.
    """
    half = image.shape[-1] / 2 * latents["scale"]
    points = object_frame(latents, image.shape[-1]) - latents["front_pose"][:, :2, None, None]
    points = rotate(points, latents["front_pose"][:, 2])
    away = signed_distance(points, latents["front_corners"]) + 1  # square and round: a norm
    of_figurine = away.masked_fill(parts == 0, torch.inf).flatten(1).sort(1).values
    hidden = (latents["occlusion"] * (parts > 0).sum((1, 2)) + 0.5).long()[:, None]
    radius = (of_figurine.gather(1, (hidden - 1).clamp(min=0)) + of_figurine.gather(1, hidden)) / 2
    distance = (away - radius[..., None]) * half[:, None, None]
    fill = None if outlines else _palette(latents, -1)[:, 0].expand_as(image)
    image = lay_blob(image, fill, distance, points, torch.ones_like(half))
    return image, parts * (distance >= 0)


def _light(latents: dict[str, Tensor], size: int) -> Tensor:
    """How much light falls on each pixel: (B, 1, size, size), around 1."""
    x, y = pixel_grid(size, latents["light"].device)
    along_x, along_y = latents["light"][:, :, None, None].unbind(1)
    uneven = smooth_noise(latents["relief_grain"], "relief", size)
    return (1 + along_x * x + along_y * y + latents["relief"][:, None, None] * uneven)[:, None]
