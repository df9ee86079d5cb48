"""Tables of bits by level: the figurines' tree against the world, units against masks, and masks that models saw."""

import numpy as np
import pytest
import torch

from mae_lib.limits.bits_by_level import bits_of_masks, figurine_tree, quadtree_code, z_order
from mae_lib.limits.ideal_observer import own_patches
from mae_lib.theory.information import expected_bits, mask_bits
from mae_lib.theory.mask_levels import FixedCount, square_units
from mae_lib.theory.sampled_information import sampled_bits
from mae_lib.training.masks import MaskSampler
from mae_lib.worlds.figurines import Figurines


@pytest.mark.parametrize("grid", [4, 8])
def test_patches_stand_below_the_corner_that_the_world_gives_them(grid):
    copies = (grid // 4) ** 2
    order, corners = z_order(grid), own_patches(grid).numpy().argmax(0)
    np.testing.assert_array_equal(corners[order], np.repeat(np.arange(16), copies))


@pytest.mark.parametrize(("grid", "unit"), [(4, 2), (8, 2), (8, 4), (16, 1)])
def test_blocks_of_z_order_are_square_units(grid, unit):
    units = square_units(grid, unit)[z_order(grid)].reshape(-1, unit**2)
    assert (units == units[:, :1]).all() and len(np.unique(units[:, 0])) == len(units)


def test_the_figurines_tree_is_the_worlds():
    world = Figurines(size=32)
    tree = figurine_tree(world, 8)
    corners = world.latents(torch.arange(200), "test")["corners"].numpy()
    sampled_bits(tree, np.zeros(corners.shape, bool), corners)  # refuses an image that the tree never makes
    assert len(figurine_tree(world, 4).hierarchy.observables) == 64
    for patch in (0, 16, 3):
        with pytest.raises(ValueError, match=f"patch is {patch}"):
            figurine_tree(world, patch)


def test_masks_of_whole_units_have_the_exact_law():
    tree = quadtree_code(4)
    table = bits_of_masks(tree, {(0.75, 1): MaskSampler(4, 1, 1, 0.75), (0.75, 2): MaskSampler(4, 1, 2, 0.75)})
    wanted = [expected_bits(tree, [FixedCount(12, 16)]), expected_bits(tree, [FixedCount(3, 4)], np.arange(16) // 4)]
    for unit, exact in zip((1, 2), wanted):
        np.testing.assert_allclose(table[table["unit"] == unit].sort_values("level")["bits"], exact.by_level[0])
    np.testing.assert_allclose(table.groupby("unit")["share"].sum(), 1)
    with pytest.raises(ValueError, match="masks of 64 patches do not fit a tree over 16"):
        bits_of_masks(tree, {(0.75, 1): MaskSampler(8, 1, 1, 0.75)})


def test_other_masks_are_drawn():
    tree, partly = quadtree_code(4), MaskSampler(4, 1, 2, 0.6)  # one unit and a half in sight
    found = bits_of_masks(tree, {(0.6, 2): partly}, draws=400).sort_values("level")["bits"]
    others = partly.sample(1, 0, torch.arange(2000)).numpy()[:, z_order(4)]
    each = mask_bits(tree, others).by_level
    assert (np.abs(found - each.mean(0)) <= 4.5 * each.std(0) / 400**0.5 + 1e-12).all()


@pytest.mark.parametrize("grid", [1, 6])
def test_a_grid_that_is_no_quadtree_is_refused(grid):
    with pytest.raises(ValueError, match=f"grid is {grid}"):
        quadtree_code(grid)
