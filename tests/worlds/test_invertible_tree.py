"""The tree that satisfies Assumption 1: inversion from any leaf, closed forms, layout."""

import pytest
import torch

from mae_lib.worlds import make_world
from mae_lib.worlds.invertible_tree import parent, slot

INDICES = torch.arange(32)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-12)])
@pytest.mark.parametrize("slope", [0.2, 1.0])
def test_any_leaf_gives_back_all_its_ancestors(dtype, tolerance, slope):
    world = make_world("invertible_tree", slope=slope)
    levels = world.grow({name: noise.to(dtype) for name, noise in world.noises(INDICES).items()})
    for leaf in range(64):
        found, i = world.invert(leaf, levels["level3"][:, leaf]), leaf
        for d in (3, 2, 1, 0):
            assert (found[f"level{d}"] - levels[f"level{d}"][:, i]).abs().max() < tolerance
            i = parent(d, i) if d else 0


def test_pixels_give_back_the_root():
    world = make_world("invertible_tree")
    sample = world.sample(INDICES)
    root = world.invert(40, world.from_image(sample.images)[:, 40])["level0"]
    assert (root - sample.latents["level0"][:, 0]).abs().max() < 1e-4


def test_a_leaf_lies_where_the_quadtree_puts_it():
    world = make_world("invertible_tree")
    leaves = torch.zeros(1, 64, 48)
    leaves[0, 8 * 3 + 5] = 9.0  # row 3, column 5
    bright = (world.to_image(leaves) > 0.9).all(1)[0].nonzero()
    assert bright.amin(0).tolist() == [12, 20] and bright.amax(0).tolist() == [15, 23]
    for d in (1, 2, 3):
        for i in range(4**d):
            row, column = divmod(i, 2**d)
            assert divmod(parent(d, i), 2 ** (d - 1)) == (row // 2, column // 2)
        assert sorted(slot(d, i) for i in range(4**d)) == sorted([0, 1, 2, 3] * 4 ** (d - 1))


def test_parents_in_the_graph_are_the_parents_of_the_numbers():
    world = make_world("invertible_tree")
    for d in (1, 2, 3):
        for i in range(4**d):
            row, column = divmod(i, 2**d)
            name = f"x_{row}_{column}" if d == 3 else f"z{3 - d}_{row}_{column}"
            up_row, up_column = divmod(parent(d, i), 2 ** (d - 1))
            assert world.hierarchy.parents(name) == (f"z{4 - d}_{up_row}_{up_column}",)


def test_the_linear_tree_has_orthonormal_loadings_and_their_covariance():
    world = make_world("invertible_tree", slope=1.0, depth=2, root_dim=12)
    loadings, slices = world.loadings()
    leaf = loadings[:48]
    # Q is orthogonal and the noises are standard: so is every leaf.
    assert torch.allclose(leaf @ leaf.T, torch.eye(48, dtype=torch.float64), atol=1e-6)
    # Leaves 0 and 1 are sisters (they share their parent's 24 numbers), 0 and 2 cousins, who share the root's 12.
    for other, shared in ((1, 24), (2, 12), (15, 12)):
        cross = leaf @ loadings[48 * other : 48 * other + 48].T
        assert torch.allclose(torch.linalg.svdvals(cross), (torch.arange(48) < shared).double(), atol=1e-6)
    noises = world.noises(torch.arange(5))
    stacked = torch.cat([noises[f"level{d}"].flatten(1) for d in range(3)], 1)
    assert slices["level2"].stop == stacked.shape[1]
    assert torch.allclose(stacked.double() @ loadings.T, world.grow(noises)["level2"].flatten(1).double(), atol=1e-4)


def test_the_nonlinear_tree_has_no_loadings():
    with pytest.raises(ValueError, match=r"slope is 0\.2: it must be 1: only the linear tree has loadings"):
        make_world("invertible_tree").loadings()


def test_sampled_covariance_is_the_closed_form():
    world = make_world("invertible_tree", slope=1.0, depth=1, root_dim=6)
    loadings, _ = world.loadings()
    pixels = world.sample(torch.arange(40_000)).latents["pixels"].flatten(1).double()
    assert (pixels.T @ pixels / len(pixels) - loadings @ loadings.T).abs().max() < 0.03  # six standard errors


def test_resample_keeps_the_levels_it_is_told():
    world = make_world("invertible_tree")
    before, after = world.sample(INDICES).latents, world.resample(INDICES, keep=("level0", "level1")).latents
    assert torch.equal(before["level1"], after["level1"]) and not torch.equal(before["level2"], after["level2"])
    with pytest.raises(ValueError, match="keep is 'pixels': it must be one of level0"):
        world.resample(INDICES, keep=("pixels",))


@pytest.mark.parametrize(("depth", "root_dim", "size"), [(1, 6, 4), (3, 6, 32), (2, 12, 16), (3, 24, 64)])
def test_other_trees_fill_other_squares(depth, root_dim, size):
    world = make_world("invertible_tree", depth=depth, root_dim=root_dim)
    sample = world.sample(INDICES[:2])
    assert sample.images.shape == (2, 3, size, size)
    assert len(world.hierarchy.observables) == 4**depth == world.levels[f"level{depth}"].nodes


@pytest.mark.parametrize(
    ("option", "value"), [("depth", 0), ("root_dim", 5), ("root_dim", 3), ("slope", 0.0), ("slope", 2.0)]
)
def test_a_bad_option_is_named_with_its_value(option, value):
    with pytest.raises(ValueError, match=f"{option} is {value!r}: it must be"):
        make_world("invertible_tree", **{option: value})


@pytest.mark.parametrize("leaf", [-1, 64])
def test_a_leaf_that_is_not_there_is_refused(leaf):
    with pytest.raises(ValueError, match=f"leaf is {leaf}"):
        make_world("invertible_tree").invert(leaf, torch.zeros(1, 48))
