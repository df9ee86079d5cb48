"""The mask sampler: the paper's counts, the unit rule, chance, and what it refuses."""

import pytest
import torch

from mae_lib.training import MaskSampler

ROWS = torch.arange(64)


@pytest.mark.parametrize(("ratio", "visible"), [(0.1, 176), (0.25, 147), (0.5, 98), (0.75, 49), (0.9, 19)])
def test_visible_patches_of_the_papers_ratios(ratio, visible):
    sampler = MaskSampler(14, 16, 16, ratio)
    assert (sampler.visible, sampler.masked) == (visible, 196 - visible)
    assert set((~sampler.sample(0, 0, ROWS)).sum(1).tolist()) == {visible}


@pytest.mark.parametrize(("unit", "whole", "rest"), [(8, 196, 0), (16, 49, 0), (32, 12, 4)])
def test_units_of_the_papers_patch_8_series(unit, whole, rest):
    """224 pixels at patch 8, ratio .75: 196 visible patches in 196, 49, or 12 and a quarter visible units."""
    mask = MaskSampler(28, 8, unit, 0.75).sample(1, 2, ROWS)
    k = unit // 8
    seen = (~mask).view(64, 28 // k, k, 28 // k, k).sum(dim=(2, 4)).flatten(1)  # visible patches of each unit
    assert (seen.sum(1) == 196).all()
    assert ((seen == k * k).sum(1) == whole).all()
    assert (seen.sum(1) - whole * k * k == rest).all()
    assert ((seen > 0).sum(1) == whole + (rest > 0)).all()


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75, 0.9])
def test_units_that_stick_out_of_the_grid(ratio):
    """7 patches in units of 3: at most one unit is partial, and edge units count their patches on the grid."""
    sampler = MaskSampler(7, 4, 12, ratio)
    mask = sampler.sample(0, 0, torch.arange(500))
    assert set((~mask).sum(1).tolist()) == {sampler.visible}
    line = torch.arange(7) // 3
    unit = (line[:, None] * 3 + line).flatten()
    for row in mask[:100]:
        shares = [set(row[unit == u].tolist()) for u in range(9)]
        assert sum(len(share) == 2 for share in shares) <= 1


def test_whole_units_round_down():
    sampler = MaskSampler(28, 8, 32, 0.75, partial_unit=False)
    assert sampler.visible == 12 * 16
    tiles = sampler.sample(0, 0, ROWS).view(64, 7, 4, 7, 4)
    assert (tiles == tiles[:, :, :1, :, :1]).all()


def test_every_pair_of_units_is_equally_likely():
    mask = MaskSampler(3, 4, 4, 0.5).sample(5, 0, torch.arange(40_000)).double()
    together = mask.T @ mask / len(mask)
    pair = 5 * 4 / (9 * 8)  # 5 of 9 masked
    error = 5 * (pair * (1 - pair) / len(mask)) ** 0.5
    assert (together.diagonal() - 5 / 9).abs().max() < error
    assert (together - pair)[~torch.eye(9, dtype=torch.bool)].abs().max() < error


def test_a_row_keeps_its_mask_however_the_batch_is_split():
    sampler = MaskSampler(8, 4, 12, 0.75)
    whole = sampler.sample(3, 7, ROWS)
    parts = [sampler.sample(3, 7, rows) for rows in (ROWS[40:], ROWS[:1], ROWS[1:40].flip(0))]
    assert torch.equal(whole, torch.cat([parts[1], parts[2].flip(0), parts[0]]))
    assert sampler.sample(3, 7, ROWS[:0]).shape == (0, 64)


def test_seed_step_and_row_each_change_the_mask():
    sampler = MaskSampler(8, 4, 4, 0.5)
    masks = [sampler.sample(seed, step, ROWS[:2]) for seed in (0, 1) for step in (0, 1)]
    assert len({tuple(row.tolist()) for row in torch.cat(masks)}) == 8


def test_an_exact_product_is_not_lost_to_rounding():
    assert MaskSampler(10, 4, 4, 0.9).visible == 10  # in floating point 100 * (1 - 0.9) is below 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((8, 4, 4, 0.0), "0.0"),
        ((8, 4, 4, 1.0), "1.0"),
        ((8, 4, 4, float("nan")), "nan"),
        ((8, 4, 4, 0.99), "no visible patch of 64"),
        ((8, 4, 6, 0.5), "6 must be a multiple of the patch, 4"),
        ((8, 4, 0, 0.5), "0 must be a multiple"),
        ((8, 4, 36, 0.5), "36 is larger than the image: at most 32"),
        ((0, 4, 4, 0.5), "0 and 4"),
        ((7, 4, 8, 0.5, False), "divisor of 28"),
        ((8, 4, 32, 0.5, False), "no visible patch"),
    ],
)
def test_refusals_name_the_value(arguments, says):
    with pytest.raises(ValueError, match=says):
        MaskSampler(*arguments)
