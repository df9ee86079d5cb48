"""Which corners of a figurine an ideal observer can read under a mask, and how accurate that observer then is.

Two observers, since a figurine is not aligned with the grid of patches:

* "own": reads a corner when one of its own four patches is visible, those below it in the world's hierarchy. It is the
  observer of Theorem 1, for whom a patch belongs to one corner. It idealises vision (no blur, no noise, no unknown
  pose) and ignores that the figurine is shifted, shrunk and turned, so that a patch may show a strip of a neighbour.
* "trace": reads a corner when changing only its style would change any byte of a visible patch. What leaves no trace
  cannot be read, so no model that sees the masked image can beat it. A trace of one byte is often too little for an
  observer that does not know the pose: the bound is valid, not tight.

Both know the grammar and hence everything implied by the corners they read (`mae_lib.limits.grammar_posterior`).
"""

import torch
from torch import Tensor

from mae_lib.limits.grammar_posterior import posterior
from mae_lib.worlds.figurine_grammar import CORNERS, STYLES
from mae_lib.worlds.figurines import Figurines
from mae_lib.worlds.rendered import to_bytes

_CHUNK = 64  # images at a time, each rendered 64 times


def own_patches(grid: int) -> Tensor:
    """The patches of each corner in the world's hierarchy: bool (16, grid²); corners part by part, patches in rows.

    Raises ValueError for a grid that is not a multiple of 4.
    """
    if grid < 4 or grid % 4:
        raise ValueError(f"grid is {grid}: it must be a multiple of 4, the corners on a side")
    line = torch.arange(grid) * 4 // grid  # the row, or column, of corners that a patch stands in
    row, column = line[:, None], line
    number = 8 * (row // 2) + 4 * (column // 2) + 2 * (row % 2) + column % 2
    return number.flatten() == torch.arange(CORNERS)[:, None]


def trace_patches(world: Figurines, indices: Tensor, split: str, patch: int) -> Tensor:
    """The patches of each image in which each corner leaves a trace: bool (B, 16, patches).

    That is, two styles of this corner, with all other latents fixed, give different bytes there. Raises ValueError for
    a patch that does not divide the image.
    """
    if patch < 1 or world.size % patch:
        raise ValueError(f"patch is {patch}: it must divide the image, {world.size} pixels")
    return torch.cat([_traces(world, chunk, split, patch) for chunk in indices.split(_CHUNK)])


def _traces(world: Figurines, indices: Tensor, split: str, patch: int) -> Tensor:
    z = world.latents(indices, split)
    found = []
    for corner in range(CORNERS):
        versions = torch.stack([_bytes(world, z, corner, style) for style in range(STYLES)])
        differs = (versions != versions[0]).any(0).any(1, keepdim=True)  # (B, 1, H, W)
        found.append(torch.nn.functional.max_pool2d(differs.float(), patch).flatten(1) > 0)
    return torch.stack(found, 1)


def _bytes(world: Figurines, latents: dict[str, Tensor], corner: int, style: int) -> Tensor:
    """The images with one corner in another style: uint8 (B, 3, H, W)."""
    corners = latents["corners"].clone()
    corners[:, corner] = style
    return to_bytes(world.render(latents | {"corners": corners}).images)


def read_corners(patches: Tensor, masks: Tensor) -> Tensor:
    """Which corners are read from some visible patch: bool (B, 16).

    `patches` as from `own_patches` or `trace_patches`, masks bool (B, patches) with True = masked.
    """
    return (patches & ~masks[:, None]).any(-1)


def expected_accuracy(world: Figurines, corners: Tensor, read: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """Expected accuracy of the most likely value, per image, given the corners `read`: float64 (B,) each.

    "class", "parts" and "corners", the last over the corners in `hidden` only, both bool (B, 16); `NaN` where an image
    hides none. It is the mean of the highest posterior probability, the accuracy expected under these beliefs, so it
    has no noise from guessing. Raises ValueError as `posterior` does.
    """
    beliefs = posterior(corners, read, world.classes, world.synonyms)
    best = beliefs.corners.amax(-1)
    of_hidden = (best * hidden).sum(1) / hidden.sum(1)
    return {"class": beliefs.classes.amax(-1), "parts": beliefs.parts.amax(-1).mean(1), "corners": of_hidden}
