"""The masks suggested in Section 3.6, as settings of the same trainer: units of any shape, blocks, and a boundary.

A mask *unit* need not be a square: `PartitionMasks` takes any partition of the patches, such as the leaves of the
subtrees of a latent hierarchy (`mae_lib.theory.subtree_units`), with the rule of `MaskSampler`. `BlockMasks` are the
contiguous blocks of BEiT (Bao et al. 2022). `inner_patches` are the masked patches that stay in the loss when those
near a visible patch are excluded. As everywhere, True = masked, and a mask is a function of (seed, step, row).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mae_lib import randomness
from mae_lib.theory.mask_levels import visible_count
from mae_lib.training.masks import Masks, hide, stream_index, turns

_BLOCKS = 48  # drawn for each mask; if they mask too few patches, the rest are random
_TRIED = 256  # masks that a boundary is tried on


@dataclass(frozen=True)
class PartitionMasks(Masks):
    """Masks in units that partition the patches: unit_of (L,) is the unit, from 0, of each patch in row-major order.

    Units come in random order and their first `int(L(1 - ratio))` patches are visible, so the last visible unit may be
    partial (its first patches in row-major order). Units may differ in size.

    Raises ValueError for numbers that skip a unit, or a ratio that leaves no visible or no masked patch.
    """

    unit_of: tuple[int, ...]
    ratio: float

    def __post_init__(self) -> None:
        units = set(self.unit_of)
        if units != set(range(len(units))) or len(units) < 2:
            raise ValueError(f"mask units are numbered {sorted(units)}: number two or more from 0 without a gap")
        _check_count(self.ratio, self.patches)

    @property
    def patches(self) -> int:
        """Patches of an image, L."""
        return len(self.unit_of)

    def sample(self, seed: int, step: int, rows: Tensor) -> Tensor:
        unit_of = torch.tensor(self.unit_of, device=rows.device)
        size = torch.bincount(unit_of)
        same = unit_of[:, None] == unit_of
        within = same.tril(-1).sum(1)  # patches of its unit before a patch
        return hide(turns(seed, step, rows, len(size)), unit_of, within, size, self.visible)


@dataclass(frozen=True)
class BlockMasks(Masks):
    """Contiguous blocks, which may overlap, until `L - int(L(1 - ratio))` patches of grid x grid are masked.

    A block has between a tenth and four tenths of the masked patches and one side up to 3.3 times the other, and may
    lie anywhere on the grid. The last one is truncated, row by row, so that every image has the same number of masked
    patches.
    Raises ValueError for a ratio that leaves no visible or no masked patch.
    """

    grid: int
    ratio: float

    def __post_init__(self) -> None:
        _check_count(self.ratio, self.patches)

    @property
    def patches(self) -> int:
        """Patches of an image, L."""
        return self.grid**2

    def sample(self, seed: int, step: int, rows: Tensor) -> Tensor:
        index = stream_index(step, rows)
        drawn = randomness.uniform(seed, index, "blocks", (4, _BLOCKS))  # area, aspect, row, column
        area = self.masked * (0.1 + 0.3 * drawn[:, 0])
        aspect = torch.exp((2 * drawn[:, 1] - 1) * math.log(10 / 3))
        sides = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], 1).round().clamp(1, self.grid)
        first = (drawn[:, 2:] * (self.grid - sides + 1)).floor()  # (B, 2, blocks): top and left
        line = torch.arange(self.grid, device=rows.device)[:, None, None, None]
        inside = (line >= first) & (line < first + sides)  # (grid, B, 2, blocks)
        tall, wide = inside.permute(2, 1, 3, 0)  # (B, blocks, grid) each
        covered = (tall[..., None] & wide[..., None, :]).flatten(2)  # (B, blocks, L)
        since = torch.where(covered.any(1), covered.int().argmax(1), _BLOCKS)  # the first block over each patch
        rest = randomness.ranks(seed, index, "mask", self.patches)
        place = torch.arange(self.patches, device=rows.device).expand_as(rest)
        turn = since * self.patches + torch.where(since < _BLOCKS, place, rest)
        return turn.argsort(dim=1).argsort(dim=1) < self.masked


def inner_patches(mask: Tensor, boundary: int) -> Tensor:
    """The masked patches that lie more than `boundary` patches from every visible one: bool, like `mask` (B, L).

    Patches that touch, even at a corner, are at distance 1. Raises ValueError for a mask that is not a square grid, or
    a negative boundary.
    """
    grid = math.isqrt(mask.shape[-1])
    if mask.ndim != 2 or grid**2 != mask.shape[1] or boundary < 0:
        raise ValueError(f"boundary {boundary} of a mask {tuple(mask.shape)}: give 0 or more, and (B, grid * grid)")
    visible = (~mask).view(-1, 1, grid, grid).float()
    near = F.max_pool2d(visible, 2 * boundary + 1, stride=1, padding=boundary)
    return near.flatten(1) == 0


def inner_weights(mask: Tensor, boundary: int) -> Tensor:
    """The loss weight of each patch in a batch of masks (B, L): float (B, L), 0 for patches visible or left out.

    Errors with these weights, summed over patches and averaged over images, give their mean over the batch's inner
    patches. A batch without inner patches has zero weights.
    """
    inner = inner_patches(mask, boundary)
    return inner * (len(mask) / inner.sum().clamp(min=1))


def check_boundary(masks: Masks, boundary: int) -> None:
    """Try 256 masks of a sampler; raises ValueError if none leaves anything to predict beyond the boundary."""
    hidden = masks.sample(0, 0, torch.arange(_TRIED))
    if not inner_patches(hidden, boundary).any():
        raise ValueError(
            f"boundary {boundary} leaves nothing to predict: with {masks.visible} of {masks.patches} patches visible, "
            "no masked patch lies further from them. Choose a narrower boundary, a higher ratio or larger units"
        )


def _check_count(ratio: float, patches: int) -> None:
    if not 0 < ratio < 1 or not 0 < visible_count(patches, ratio) < patches:
        raise ValueError(f"mask ratio {ratio} must leave a visible and a masked patch of {patches}")
