"""Sobol indices of a predictor's levels: Algorithm 1's zeros, closed forms, and predictors whose level is known."""

from functools import partial

import pytest
import torch

from mae_lib.limits.bayes_limits import linear_limit, linear_predictor, shared_depth
from mae_lib.limits.level_used import prediction_changes, sobol_indices
from mae_lib.theory import locate_shared_information_batch
from mae_lib.worlds import make_world

WORLD = make_world("invertible_tree", slope=1, depth=2, root_dim=12)  # 16 leaves of 4 x 4 pixels
BENT = make_world("invertible_tree", slope=0.5, depth=2, root_dim=12)
ROWS = torch.arange(200)
RASTER = torch.arange(16).view(4, 4)
QUADRANT = (RASTER // 8 == 0) & (RASTER % 4 < 2)  # the leaves of one node of level 1


def masks_of(hidden: torch.Tensor, count: int = 200) -> torch.Tensor:
    return hidden.flatten().expand(count, -1)


def test_the_best_prediction_uses_no_noise_outside_of_a():
    masks = torch.rand(4, 16, generator=torch.Generator().manual_seed(0)) < 0.5
    masks[:, 0], masks[:, -1] = True, False
    masks = torch.cat([masks, masks_of(QUADRANT, 1)]).repeat(8, 1)
    found = prediction_changes(WORLD, partial(linear_predictor, WORLD), ROWS[:40], masks)
    assert found["private"].max() < 1e-10 and found["level2"].max() < 1e-10
    no_node = ~torch.from_numpy(locate_shared_information_batch(WORLD.hierarchy, masks.numpy()).split[:, 1:]).any(1)
    assert no_node.any() and not no_node.all()
    assert (found["level1"][no_node] < 1e-10).all()
    assert found["level0"].min() > 1e-4


def test_a_mask_of_whole_nodes_leaves_the_root_alone():
    found = sobol_indices(prediction_changes(WORLD, partial(linear_predictor, WORLD), ROWS, masks_of(QUADRANT)))
    wanted = {"level0": 1, "level1": 0, "level2": 0, "private": 0}
    assert found == pytest.approx(wanted, abs=1e-6)  # images are float32


def test_the_predictor_reaches_the_limit():
    masks = masks_of(QUADRANT)
    images = WORLD.sample(ROWS, "test").images
    squared = (linear_predictor(WORLD, images, masks) - images).double().square().mean(1)
    leaves = squared.view(200, 4, 4, 4, 4).mean((2, 4)).flatten(1)
    assert shared_depth(masks)[masks].unique().tolist() == [0]
    errors, limit = leaves[:, masks[0]].mean(1), linear_limit(WORLD)[1, masks[0]].mean()
    assert abs(errors.mean() - limit) < 4 * errors.std() / 200**0.5


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_predictor_that_uses_one_level_has_that_index(level):
    """It sees the noises of one level through the visible leaves and paints their mean everywhere."""

    def predict(images, masks):
        values = BENT.invert(15, BENT.from_image(images.double())[:, 15])
        upper = values[f"level{level}"]
        if level:  # what is not the parent's share of the node is its own noise
            before = torch.where(upper < 0, upper / BENT.slope, upper)
            node = 3 if level == 1 else 15
            own = 2 * (node // 2**level % 2) + node % 2
            upper = (before @ BENT.mixers[level - 1][own])[:, BENT.dim(level - 1) :]
        return upper.mean(1).view(-1, 1, 1, 1).expand_as(images)

    found = sobol_indices(prediction_changes(BENT, predict, ROWS, masks_of(QUADRANT)))
    for d in range(3):
        assert found[f"level{d}"] == pytest.approx(float(d == level), abs=1e-5)
    assert found["private"] == pytest.approx(float(level > 0), abs=1e-5)


def test_what_cannot_be_asked_is_refused():
    def same(images, masks):
        return torch.zeros_like(images)

    with pytest.raises(ValueError, match="uses no level"):
        sobol_indices(prediction_changes(BENT, same, ROWS[:2], masks_of(QUADRANT, 2)))
    with pytest.raises(ValueError, match=r"masks are torch.bool \(3, 16\): give bool \(2, 16\)"):
        prediction_changes(BENT, same, ROWS[:2], masks_of(QUADRANT, 3))
    for all_or_none in (True, False):
        with pytest.raises(ValueError, match="hides all leaves or none"):
            prediction_changes(BENT, same, ROWS[:2], torch.full((2, 16), all_or_none))
