"""Drawn images against the exact expectation, within their interval, and image by image against joint tables."""

import numpy as np
import pytest
from small_trees import joint_of_pixels, random_tree

from mae_lib.theory.grammars import code_grammar, noisy_copies
from mae_lib.theory.information import expected_bits
from mae_lib.theory.mask_levels import IndependentUnits
from mae_lib.theory.sampled_information import level_posteriors, sampled_bits


def test_drawn_images_meet_the_exact_expectation():
    tree, rng, count = code_grammar(), np.random.default_rng(0), 1500
    ratios = (0.1, 0.25, 0.5, 0.75, 0.9)
    exact = expected_bits(tree, [IndependentUnits(r) for r in ratios]).by_level
    for r, wanted in zip(ratios, exact):
        found = sampled_bits(tree, rng.random((count, 16)) < r, tree.sample(count, rng))
        error = found.std(0) / count**0.5
        assert (np.abs(found.mean(0) - wanted) < 4 * error + 1e-12).all(), r


@pytest.mark.parametrize("seed", range(30))
def test_single_images_agree_with_joint_tables(seed):
    rng = np.random.default_rng(seed)
    tree = random_tree(rng)
    images, joint = tree.sample(5, rng), joint_of_pixels(tree)
    masks = rng.random(images.shape) < 0.5
    for image, mask, bits in zip(images, masks, sampled_bits(tree, masks, images)):
        gained = 0.0
        for x in np.flatnonzero(mask).tolist():
            others = tuple(set(range(joint.ndim)) - {x})
            seen = joint[tuple(slice(None) if hidden else slice(v, v + 1) for v, hidden in zip(image, mask))]
            before, after = joint.sum(others), seen.sum(others)
            gained += sum(
                -(p[p > 0] * np.log2(p[p > 0])).sum() * s for p, s in ((before, 1), (after / after.sum(), -1))
            )
        assert bits.sum() == pytest.approx(gained, abs=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_posteriors_agree_with_joint_tables(seed):
    rng = np.random.default_rng(seed)
    tree = random_tree(rng)
    images, joint = tree.sample(3, rng), joint_of_pixels(tree)
    masks = rng.random(images.shape) < 0.5
    for image, mask, found in zip(images, masks, level_posteriors(tree, masks, images)):
        for x in range(joint.ndim):
            seen = [
                slice(None) if hidden or x == k else slice(v, v + 1) for k, (v, hidden) in enumerate(zip(image, mask))
            ]
            others = tuple(set(range(joint.ndim)) - {x})
            for table, level in ((joint, 0), (joint[tuple(seen)], -1)):
                wanted = table.sum(others) / table.sum()
                np.testing.assert_allclose(found[level, x, : len(wanted)], wanted, atol=1e-10)
                assert not found[level, x, len(wanted) :].any()


def test_what_is_outside_of_the_own_part_does_not_count():
    tree, rng = code_grammar(), np.random.default_rng(2)
    images = tree.sample(50, rng)
    masks = rng.random(images.shape) < 0.5
    alone = masks | (np.arange(16) >= 4)  # all parts but the first hidden
    shown, part = level_posteriors(tree, masks, images), level_posteriors(tree, alone, images)
    np.testing.assert_allclose(shown[:, 1, :4], part[:, 2, :4], atol=1e-12)


def test_chunks_make_no_difference(monkeypatch):
    tree, rng = noisy_copies((3, 2), 3, (0.3, 0.1)), np.random.default_rng(1)
    masks, images = rng.random((20, 6)) < 0.6, tree.sample(20, rng)
    whole = sampled_bits(tree, masks, images)
    monkeypatch.setattr("mae_lib.theory.sampled_information._CHUNK", 1)
    np.testing.assert_allclose(sampled_bits(tree, masks, images), whole, atol=1e-12)
    assert sampled_bits(tree, masks[:0], images[:0]).shape == (0, 2)


def test_what_does_not_fit_is_refused():
    tree = code_grammar()
    masks, images = np.zeros((2, 16), bool), tree.sample(2, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"images are float64 \(2, 16\): give int \(2, 16\)"):
        sampled_bits(tree, masks, images / 1)
    with pytest.raises(ValueError, match=r"values of 'x_15' that are not in \[0, 4\)"):
        sampled_bits(tree, masks, images + 4)
    with pytest.raises(ValueError, match="impossible on this tree"):
        sampled_bits(tree, masks, np.array([[0, 1, 1, 1] * 4] * 2))
