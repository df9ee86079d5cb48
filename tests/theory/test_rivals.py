"""Closed forms of other theories against listing, sampling and least squares."""

from itertools import product

import numpy as np
import pytest
from small_trees import joint_of_pixels

from mae_lib.theory.grammars import noisy_copies
from mae_lib.theory.rivals import (
    linear_gains,
    linear_mae,
    mask_correlations,
    sign_covariance,
    sign_tree,
    spectral_gaps,
)

MASKS = np.array(list(product((False, True), repeat=6)))


def covariance(seed: int = 0) -> np.ndarray:
    factors = np.random.default_rng(seed).standard_normal((6, 8))
    return factors @ factors.T / 8


def draw_signs(branching, flip, count, seed=0) -> np.ndarray:
    """Leaves of drawn trees, 0 or 1: (count, leaves)."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 2, (count, 1))
    for children in branching:
        level = np.repeat(level, children, axis=1)
        level = level ^ (rng.random(level.shape) < flip)
    return level


def test_the_law_of_a_tree_of_signs_is_that_of_drawn_trees():
    law = sign_tree((2, 3), 0.1)
    assert law.shape == (2,) * 6 and law.sum() == pytest.approx(1)
    drawn = draw_signs((2, 3), 0.1, 200_000)
    counts = np.bincount(drawn @ (2 ** np.arange(6)[::-1]), minlength=64) / len(drawn)
    np.testing.assert_allclose(counts, law.ravel(), atol=0.004)


def test_a_tree_of_signs_is_one_of_noisy_copies():
    copies = noisy_copies((2, 3), 2, (0.05, 0.05))
    np.testing.assert_allclose(joint_of_pixels(copies), sign_tree((2, 3), 0.05), atol=1e-12)


def test_signs_correlate_by_their_distance_in_the_tree():
    found = sign_covariance(sign_tree((2, 2), 0.1))
    np.testing.assert_allclose(found[0], [1, 0.8**2, 0.8**4, 0.8**4], atol=1e-12)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_the_linear_autoencoder_is_least_squares_over_all_masks(ratio):
    """The normal equations, from every mask with its weight; and no other weights do better."""
    c, found = covariance(), linear_mae(covariance(), ratio)
    weights = ratio ** MASKS.sum(1) * (1 - ratio) ** (~MASKS).sum(1)
    for i in range(6):
        hidden = MASKS[:, i]
        gram = sum(w * c * np.outer(~m, ~m) for w, m in zip(weights[hidden], MASKS[hidden]))
        cross = sum(w * c[:, i] * ~m for w, m in zip(weights[hidden], MASKS[hidden]))
        wanted = np.linalg.lstsq(gram, cross, rcond=None)[0]
        np.testing.assert_allclose(found[i], wanted, atol=1e-9)


def test_the_linear_autoencoder_is_what_regression_on_drawn_masks_finds():
    rng, ratio, c = np.random.default_rng(1), 0.6, covariance()
    x = rng.multivariate_normal(np.zeros(6), c, 60_000)
    hidden = rng.random(x.shape) < ratio
    rows = hidden[:, 2]
    fitted = np.linalg.lstsq((x * ~hidden)[rows], x[rows, 2], rcond=None)[0]
    np.testing.assert_allclose(linear_mae(c, ratio)[2], fitted, atol=0.03)


@pytest.mark.parametrize("ratio", [0.25, 0.75])
def test_the_gains_add_up_to_the_fall_of_the_loss(ratio):
    c, weights = covariance(), linear_mae(covariance(), ratio)
    fall = 0.0
    for mask in MASKS:
        chance = ratio ** mask.sum() * (1 - ratio) ** (~mask).sum()
        shown = weights * ~mask
        left = np.diag(c) - 2 * np.einsum("ij,ij->i", shown, c) + np.einsum("ij,jk,ik->i", shown, c, shown)
        fall += chance * (np.diag(c) - left)[mask].sum()
    assert linear_gains(c, ratio).sum() == pytest.approx(fall)


def test_correlations_of_a_mask_are_those_of_the_sides():
    np.testing.assert_allclose(mask_correlations(sign_tree((2,), 0.1), [0]), [1, 0.8**2], atol=1e-12)
    np.testing.assert_allclose(mask_correlations(sign_tree((2,), 0.5), [1]), [1, 0], atol=1e-12)
    # Without flips all leaves are the root, which both sides hold: Theorem 1's c, one sign.
    copies = mask_correlations(sign_tree((2, 2), 0.0), [0, 1])
    np.testing.assert_allclose(copies, [1, 1, 0, 0], atol=1e-7)


def test_the_graph_of_drawn_views_has_the_spectrum_of_the_law():
    drawn = draw_signs((2, 2), 0.15, 100_000, seed=3)
    views, hidden = drawn[:, [0, 2]] @ [2, 1], drawn[:, [1, 3]] @ [2, 1]
    joint = np.zeros((4, 4))
    np.add.at(joint, (views, hidden), 1 / len(drawn))
    between = joint / joint.sum(0)  # through each hidden view, to all visible views that go with it
    walk = between @ joint.T / joint.sum(1)
    eigenvalues = np.sort(np.linalg.eigvals(walk).real)[::-1]
    wanted = mask_correlations(sign_tree((2, 2), 0.15), [1, 3]) ** 2
    np.testing.assert_allclose(eigenvalues, wanted, atol=0.01)


def test_the_spectral_gap_is_symmetric_in_the_ratio_and_the_linear_gains_are_not():
    law = sign_tree((2, 2, 2), 0.1)
    low, high = spectral_gaps(law, (0.2, 0.8))
    assert low == pytest.approx(high) and 0 < low < 1
    gains = [linear_gains(sign_covariance(law), r).sum() for r in (0.2, 0.8)]
    assert abs(gains[0] - gains[1]) > 0.1


def test_what_cannot_be_is_refused():
    for call, message in (
        (lambda: sign_tree((2, 2), 0.6), "flip is 0.6"),
        (lambda: sign_tree((4, 4), 0.1), "16 leaves"),
        (lambda: linear_mae(np.eye(2), 1.0), "ratio is 1.0"),
        (lambda: mask_correlations(sign_tree((2,), 0.1), [0, 1]), "hide one at least"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
