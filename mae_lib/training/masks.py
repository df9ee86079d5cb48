"""Which patches the encoder does not see: the paper's mask ratio r and mask unit s, independent of the ViT patch.

The convention of the whole package: a mask is boolean, with one entry per patch in row-major order, and
**True = masked** (hidden from the encoder, predicted by the decoder).

A unit is a square of k x k patches that are masked together (k = unit / patch). By default the last visible unit may be
partial, as in the long-sequence MAE (Hu et al. 2022, facebookresearch/long_seq_mae): shuffle the units, lay out their
patches unit by unit, and show the first `int(L(1 - r))` of the L patches. Every image then shows the same number of
patches whatever the unit. `partial_unit=False` rounds down to whole units instead, as Pixio and the library `lightly`
do.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mae_lib import randomness
from mae_lib.theory.mask_levels import visible_count

_ROWS = 1 << 32  # rows of one step are counted below this, so (step, row) is one integer


class Masks:
    """The interface of every sampler: an image has `patches`, L, of which the encoder sees `visible`."""

    ratio: float
    patches: int

    @property
    def visible(self) -> int:
        """Patches that the encoder sees, the same for every image: `int(L(1 - r))`."""
        return visible_count(self.patches, self.ratio)

    @property
    def masked(self) -> int:
        """Patches that the decoder predicts, the same for every image: `L - visible`."""
        return self.patches - self.visible

    def sample(self, seed: int, step: int, rows: Tensor) -> Tensor:
        """Masks for `rows` (B,) int64 of batch `step`: bool (B, L) on the device of `rows`.

        A mask is a function of (seed, step, row): however a batch is split, its rows keep their masks.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class MaskSampler(Masks):
    """Masks of `grid` x `grid` patches of `patch` pixels, masked in units of `unit` pixels at ratio `ratio`.

    `ratio` lies in (0, 1); `unit` is a multiple of `patch` and no larger than the image. With `partial_unit=False`
    the unit must also tile the grid.

    Raises ValueError if one of these fails, and for a ratio that leaves no visible or no masked patch.
    """

    grid: int
    patch: int
    unit: int
    ratio: float
    partial_unit: bool = True

    def __post_init__(self) -> None:
        if self.grid < 1 or self.patch < 1:
            raise ValueError(f"grid and patch must be at least 1, not {self.grid} and {self.patch}")
        if not 0 < self.ratio < 1:
            raise ValueError(f"mask ratio {self.ratio} must lie strictly between 0 and 1")
        side = self.grid * self.patch
        if self.unit < self.patch or self.unit % self.patch:
            raise ValueError(f"mask unit {self.unit} must be a multiple of the patch, {self.patch} pixels")
        if self.unit > side:
            raise ValueError(f"mask unit {self.unit} is larger than the image: at most {side} pixels")
        if not self.partial_unit and side % self.unit:
            raise ValueError(f"whole units of {self.unit} pixels do not tile {side} pixels: choose a divisor of {side}")
        if not 0 < self.visible < self.patches:
            what = "visible" if self.visible == 0 else "masked"
            raise ValueError(f"mask ratio {self.ratio} at unit {self.unit} leaves no {what} patch of {self.patches}")

    @property
    def patches(self) -> int:
        """Patches of an image, L."""
        return self.grid**2

    @property
    def visible(self) -> int:
        """Patches that the encoder sees: `int(L(1 - r))`, rounded down to whole units with `partial_unit=False`."""
        step = 1 if self.partial_unit else (self.unit // self.patch) ** 2
        return visible_count(self.patches / step, self.ratio) * step

    def sample(self, seed: int, step: int, rows: Tensor) -> Tensor:
        k = self.unit // self.patch
        side = math.ceil(self.grid / k)
        place = turns(seed, step, rows, side**2)
        if k == 1:
            return place >= self.visible
        return hide(place, *_layout(self.grid, k, rows.device), self.visible)


def turns(seed: int, step: int, rows: Tensor, units: int) -> Tensor:
    """The position of each unit in a random order, for each row of a step: int64 (B, units)."""
    return randomness.ranks(seed, stream_index(step, rows), "mask", units)


def stream_index(step: int, rows: Tensor) -> Tensor:
    """(step, row) as one integer, (B,)."""
    return step * _ROWS + rows


def hide(place: Tensor, unit_of: Tensor, within: Tensor, size: Tensor, visible: int) -> Tensor:
    """bool (B, L): units are laid out in their order, and all patches except the first `visible` are masked.

    `place` (B, units): each unit's position in the random order. `unit_of` and `within` (L,): each patch's unit, and
    its index in that unit. `size` (units,): each unit's number of patches.
    """
    in_turn = torch.zeros_like(place).scatter_(1, place, size.expand_as(place))
    before = (in_turn.cumsum(1) - in_turn).gather(1, place)  # patches laid out before a unit
    return before[:, unit_of] + within >= visible


def _layout(grid: int, k: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each patch its unit and its place in it, (L,) each; for each unit its patch count, (units,)."""
    line = torch.arange(grid, device=device)
    side = math.ceil(grid / k)
    unit_of = (line[:, None] // k * side + line // k).flatten()
    wide = torch.minimum(line.new_tensor(k), grid - line // k * k)  # a unit at the edge may be narrower
    within = (line[:, None] % k * wide + line % k).flatten()
    return unit_of, within, torch.bincount(unit_of, minlength=side**2)
