"""Probes of nodes find what was planted below them; errors lie where something was hidden."""

import numpy as np
import pytest
import torch

from mae_lib.metrics.node_probes import (
    hidden_scores,
    masked_features,
    node_means,
    node_scores,
    node_stacks,
    patch_errors,
    patch_features,
    pixel_patches,
)
from mae_lib.metrics.reconstruction import score_reconstructions
from mae_lib.training import MAE, MaskSampler

IMAGES = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
MASKS = MaskSampler(4, 4, 4, 0.5).sample(0, 0, torch.arange(6))


def model() -> MAE:
    torch.manual_seed(0)
    return MAE(16, 4, width=16, depth=1, heads=2, decoder_width=16, decoder_heads=2).eval()


def test_errors_of_patches_average_to_the_error_on_masked_pixels():
    errors = patch_errors(model(), IMAGES, MASKS, batch=4)
    assert torch.equal(errors.isnan(), ~MASKS)
    wanted = score_reconstructions(model(), IMAGES, MASKS)["mse_masked"]
    np.testing.assert_allclose(errors.nanmean(1).numpy(), wanted, rtol=1e-5)


def test_features_do_not_see_what_is_hidden():
    changed = IMAGES.clone()
    pixels = MASKS.view(6, 1, 4, 1, 4, 1).expand(6, 3, 4, 4, 4, 4).reshape(6, 3, 16, 16)
    changed[pixels] = 0.5
    np.testing.assert_array_equal(masked_features(model(), IMAGES, MASKS), masked_features(model(), changed, MASKS))
    assert patch_features(model(), IMAGES).shape == (6, 16, 16)


def test_a_mask_an_image_is_asked_for():
    with pytest.raises(ValueError, match="5 masks for 6 images"):
        patch_errors(model(), IMAGES, MASKS[:5])


def test_node_means_are_means_of_squares():
    x = np.arange(2 * 16 * 3, dtype=float).reshape(2, 16, 3)
    np.testing.assert_array_equal(node_means(x, 16), x)
    np.testing.assert_allclose(node_means(x, 1)[:, 0], x.mean(1))
    np.testing.assert_allclose(node_means(x, 4)[:, 1], x[:, [2, 3, 6, 7]].mean(1))
    with pytest.raises(ValueError, match="16 patches do not tile 9 nodes"):
        node_means(x, 9)


def test_node_stacks_hold_each_patch_once():
    x = np.arange(2 * 16 * 3, dtype=float).reshape(2, 16, 3)
    np.testing.assert_array_equal(node_stacks(x, 16), x)
    np.testing.assert_array_equal(node_stacks(x, 1)[:, 0], x.reshape(2, -1))
    np.testing.assert_array_equal(node_stacks(x, 4)[:, 1], x[:, [2, 3, 6, 7]].reshape(2, -1))


def test_raw_pixels_come_patch_by_patch():
    found = pixel_patches(IMAGES, 4)
    assert found.shape == (6, 16, 48)
    np.testing.assert_array_equal(found[:, 5].reshape(6, 3, 4, 4), IMAGES[:, :, 4:8, 4:8].numpy())
    levels = (IMAGES * 255).to(torch.uint8)
    np.testing.assert_allclose(pixel_patches(levels, 4), pixel_patches(levels.float() / 255, 4))


def test_a_level_that_only_all_patches_together_tell_is_read_from_the_stack():
    random = np.random.default_rng(1)
    x = [random.normal(size=(n, 4, 2)) for n in (600, 300)]
    truths = [[torch.from_numpy(a[:, :1, :1] - a[:, 1:2, :1])] for a in x]
    mean, stack = (node_scores(x[0], truths[0], x[1], truths[1], pool)[0].mean() for pool in (None, node_stacks))
    assert stack > 0.99 and mean < 0.3


def test_a_planted_level_is_read_and_noise_is_not():
    """The root is the mean of all patches; the leaves are noise."""
    random = np.random.default_rng(0)
    x = [random.normal(size=(n, 16, 5)) for n in (800, 400)]
    truths = [
        [torch.from_numpy(a.mean(1, keepdims=True)), torch.from_numpy(random.normal(size=(len(a), 16, 2)))] for a in x
    ]
    root, leaves = node_scores(x[0], truths[0], x[1], truths[1])
    assert root.shape == (400,) and root.mean() > 0.99
    assert abs(leaves.mean()) < 0.05


def test_hidden_latents_are_scored_where_they_are_hidden():
    """Node 0 is planted in the features, node 1 is not, node 2 is never hidden."""
    random = np.random.default_rng(1)
    y = [random.integers(3, size=(n, 3)) for n in (600, 300)]
    x = [np.eye(3)[a[:, 0]] + 0.05 * random.normal(size=(len(a), 3)) for a in y]
    hidden = [random.random(a.shape) < 0.5 for a in y]
    for h in hidden:
        h[:, 2] = False
    only = [h & [True, False, False] for h in hidden]
    planted = hidden_scores(x[0], y[0], only[0], x[1], y[1], only[1])
    assert np.array_equal(np.isnan(planted), ~only[1].any(1)) and np.nanmean(planted) == 1
    only = [h & [False, True, False] for h in hidden]
    assert np.nanmean(hidden_scores(x[0], y[0], only[0], x[1], y[1], only[1])) == pytest.approx(1 / 3, abs=0.15)
    none = [np.zeros_like(h) for h in hidden]
    assert np.isnan(hidden_scores(x[0], y[0], none[0], x[1], y[1], none[1])).all()
