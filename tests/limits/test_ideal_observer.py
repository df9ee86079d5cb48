"""What a perfect reader of corners can know: the bounds at the ends, and that nothing unread leaves a trace."""

import pytest
import torch

from mae_lib.limits.ideal_observer import expected_accuracy, own_patches, read_corners, trace_patches
from mae_lib.theory import LatentHierarchy
from mae_lib.training import MaskSampler
from mae_lib.worlds import make_world
from mae_lib.worlds.rendered import to_bytes

WORLD = make_world("figurines")


def test_own_patches_are_those_below_the_corner_in_the_hierarchy():
    graph = LatentHierarchy.quadtree(8)
    own = own_patches(8)
    assert (own.sum(0) == 1).all() and (own.sum(1) == 4).all()
    for corner in range(16):
        part, slot = divmod(corner, 4)
        row, column = 2 * (part // 2) + slot // 2, 2 * (part % 2) + slot % 2
        below = set(graph.descendant_observables(f"z1_{row}_{column}"))
        assert {graph.observables[i] for i in own[corner].nonzero()[:, 0]} == below


@pytest.mark.parametrize("grid", [0, 2, 6])
def test_a_grid_without_whole_corners_is_refused(grid):
    with pytest.raises(ValueError, match=f"grid is {grid}"):
        own_patches(grid)


def test_a_corner_without_a_trace_changes_no_visible_byte():
    """Redraw every corner of one image alone: the bytes change in the patches named and nowhere else."""
    indices = torch.arange(3)
    traces = trace_patches(WORLD, indices, "test", 8)
    z = WORLD.latents(indices, "test")
    plain = to_bytes(WORLD.render(z).images)
    for corner in range(16):
        other = z["corners"].clone()
        other[:, corner] = (other[:, corner] + 1) % 4
        changed = (to_bytes(WORLD.render(z | {"corners": other}).images) != plain).any(1)
        in_patches = changed.view(3, 4, 8, 4, 8).any(4).any(2).flatten(1)
        assert not (in_patches & ~traces[:, corner]).any() and in_patches.any(1).all()


def test_a_patch_that_does_not_tile_is_refused():
    with pytest.raises(ValueError, match="patch is 5"):
        trace_patches(WORLD, torch.arange(1), "test", 5)


def test_everything_read_is_certain_and_nothing_read_is_chance():
    corners = WORLD.latents(torch.arange(40), "test")["corners"]
    every = torch.ones(40, 16, dtype=torch.bool)
    sure = expected_accuracy(WORLD, corners, every, every)
    blind = expected_accuracy(WORLD, corners, ~every, every)
    assert all((values == 1).all() for values in sure.values())
    assert blind["class"].mean() == pytest.approx(1 / 12) and blind["parts"].mean() == pytest.approx(0.25)
    assert expected_accuracy(WORLD, corners, every, ~every)["corners"].isnan().all()


def test_traces_tell_no_less_than_own_patches_on_average():
    indices = torch.arange(100)
    corners = WORLD.latents(indices, "test")["corners"]
    traces, own = trace_patches(WORLD, indices, "test", 4), own_patches(8)
    for ratio in (0.5, 0.9):
        masks = MaskSampler(8, 4, 8, ratio).sample(0, 0, indices)
        hidden = ~read_corners(own, masks)
        scores = [expected_accuracy(WORLD, corners, read_corners(p, masks), hidden) for p in (own, traces)]
        assert all(scores[1][level].mean() >= scores[0][level].mean() for level in scores[0])
