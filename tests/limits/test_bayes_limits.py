"""The limit on the tree, in several ways that must agree, and by what a best predictor reaches."""

import numpy as np
import pytest
import torch

from mae_lib.limits.bayes_limits import (
    gaussian_posterior,
    linear_limit,
    sampled_limit,
    shared_depth,
    shared_posterior,
)
from mae_lib.theory import locate_shared_information
from mae_lib.worlds import make_world

SMALL = {"depth": 2, "root_dim": 12}  # 16 leaves of 4 x 4 pixels
TINY = {"depth": 1, "root_dim": 6}  # 4 leaves of 2 x 2 pixels


def some_masks(count: int, leaves: int) -> torch.Tensor:
    """Masks of every density, with something hidden and something visible."""
    drawn = torch.rand(count, leaves, generator=torch.Generator().manual_seed(0)) < torch.linspace(0, 1, count)[:, None]
    drawn[:, 0], drawn[:, -1] = True, False
    return drawn


def test_shared_depth_is_that_of_the_lowest_split_ancestor_of_algorithm_1():
    world = make_world("invertible_tree", **SMALL)
    graph, masks = world.hierarchy, some_masks(20, 16)
    names = np.array(graph.observables)
    for mask, depths in zip(masks, shared_depth(masks)):
        split = locate_shared_information(graph, names[mask.numpy()]).split
        for leaf in mask.nonzero()[:, 0].tolist():
            shared = graph.ancestors([names[leaf]]) & split
            assert int(depths[leaf]) == world.depth - min(graph.level(z) for z in shared)


def test_shared_depth_at_the_ends():
    masks = torch.tensor([[True] * 16, [False] * 16])
    assert shared_depth(masks).tolist() == [[-1] * 16, [2] * 16]


@pytest.mark.parametrize("masks", [torch.ones(2, 16), torch.ones(2, 9, dtype=torch.bool), torch.ones(16).bool()])
def test_what_is_no_mask_of_a_quadtree_is_refused(masks):
    with pytest.raises(ValueError, match="masks are"):
        shared_depth(masks)


def test_schur_complement_and_algorithm_1_agree():
    """Conditioning on the visible numbers is knowing the noises of A: the same mean and the same covariance."""
    world = make_world("invertible_tree", slope=1, **SMALL)
    for mask in some_masks(8, 16):
        for schur, shared in zip(gaussian_posterior(world, mask), shared_posterior(world, mask)):
            torch.testing.assert_close(schur, shared, atol=1e-8, rtol=0)


def test_the_linear_limit_is_the_variance_of_the_schur_complement():
    world, mask = make_world("invertible_tree", slope=1, **SMALL), some_masks(5, 16)[2]
    mean, covariance = gaussian_posterior(world, mask)
    for m2, v in zip(mean.square().sum(1)[::17], covariance.diagonal()[::17]):
        assert float(m2 + v) == pytest.approx(1)
    # The error of E[sigmoid(x) | m], by brute force on a grid of (m, n).
    grid = torch.linspace(-8, 8, 201, dtype=torch.float64)
    density = torch.exp(-grid.square() / 2)
    density = density / density.sum()

    def error(m2: float, v: float) -> float:
        pixels = (m2**0.5 * grid[:, None] + v**0.5 * grid).sigmoid()
        best = (pixels * density).sum(1, keepdim=True)
        return float((((pixels - best).square() * density).sum(1) * density).sum())

    limit, depth = linear_limit(world), shared_depth(mask[None])[0]
    variances = covariance.diagonal().view(int(mask.sum()), -1)
    for row, leaf in list(enumerate(mask.nonzero()[:, 0].tolist()))[:3]:
        wanted = np.mean([error(float(1 - v), float(v)) for v in variances[row]])
        assert float(limit[depth[leaf] + 1, leaf]) == pytest.approx(wanted, rel=1e-6)


def test_sampling_agrees_with_the_closed_form():
    world = make_world("invertible_tree", slope=1, **SMALL)
    found = sampled_limit(world, torch.arange(2000), draws=2).mean(2)  # (images, rows)
    exact = linear_limit(world).mean(1)
    standard_error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact).abs() < 4 * standard_error).all()
    assert (standard_error < 0.01 * exact).all()


def test_the_best_of_many_draws_reaches_the_limit():
    """The mean of many redrawn images is the conditional mean: its error on the true image is the limit, slope .2."""
    world, indices, draws = make_world("invertible_tree", **TINY), torch.arange(400), 200
    images = world.sample(indices, "test").images
    keep = ("level0",)
    others = [world.resample(indices, keep, "test", draw).images for draw in range(100, 100 + draws)]
    errors = (images - torch.stack(others).mean(0)).square().mean((1, 2, 3)) / (1 + 1 / draws)
    limit = sampled_limit(world, indices, "test").mean((0, 2))[1]
    assert float(errors.mean()) == pytest.approx(float(limit), abs=4 * float(errors.std()) / 20)


def test_knowing_more_never_hurts():
    for limit in (
        linear_limit(make_world("invertible_tree", slope=1, **SMALL)),
        sampled_limit(make_world("invertible_tree", **SMALL), torch.arange(100)).mean(0),
    ):
        assert limit.shape == (3, 16) and (limit.mean(1).diff() < 0).all()


def test_only_the_linear_tree_has_a_closed_form():
    with pytest.raises(ValueError, match=r"slope is 0.2"):
        linear_limit(make_world("invertible_tree"))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="draws is 0"):
        sampled_limit(make_world("invertible_tree", **TINY), torch.arange(2), draws=0)
    with pytest.raises(ValueError, match=r"mask is torch.bool \(4,\)"):
        gaussian_posterior(make_world("invertible_tree", slope=1, **TINY), torch.ones(4, dtype=torch.bool))
