"""Other theories of masking, in closed form on one small world, to compare them with Theorem 1.

The world is a tree of signs: the root is fair, and each child copies its parent or flips. The law of its leaves can be
enumerated, so nothing is trained or sampled.

* `linear_mae`: the best linear masked autoencoder under random masks (after Bisulco et al. 2025, who add a bottleneck).
* `mask_correlations`: the spectrum of the graph that joins the views of one image (after Zhang et al. 2022). Its
  singular values are the maximal correlations of the two sides, and those equal to 1 count Theorem 1's c.

Masks hide each leaf with probability `ratio`, independently.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

_MOST = 12  # leaves whose states and masks are enumerated


def sign_tree(branching: Sequence[int], flip: float) -> np.ndarray:
    """The law of the leaves of a tree of signs: (2,) * leaves, axis by axis in the order of the leaves.

    branching as in `LatentHierarchy.tree`; flip: probability in [0, 1/2] that a child differs from its parent. Raises
    ValueError for another flip, or for more than 12 leaves.
    """
    if not 0 <= flip <= 0.5:
        raise ValueError(f"flip is {flip}: it must lie in [0, 1/2]")
    if np.prod(branching) > _MOST:
        raise ValueError(f"branching {tuple(branching)} has {np.prod(branching)} leaves: {_MOST} at most")
    copies = np.array([[1 - flip, flip], [flip, 1 - flip]])
    below = np.eye(2)  # P(leaves | the sign of the node above them): (2, 2^leaves)
    for children in reversed(branching):
        child, below = copies @ below, np.ones((2, 1))
        for _ in range(children):
            below = np.einsum("sa,sb->sab", below, child).reshape(2, -1)
    law = below.mean(0)
    return law.reshape((2,) * int(np.log2(law.size)))


def sign_covariance(law: np.ndarray) -> np.ndarray:
    """The covariance of signs +1 and -1 with this law: (leaves, leaves)."""
    states = 1 - 2 * np.array(list(product((0, 1), repeat=law.ndim)))
    mean = law.ravel() @ states
    return (states * law.reshape(-1, 1)).T @ states - np.outer(mean, mean)


def linear_mae(covariance: np.ndarray, ratio: float) -> np.ndarray:
    """The best weights over all masks to predict each hidden leaf, hidden inputs being 0.

    (leaves, leaves), one row per target, zero on the diagonal: row i solves `((1 - r) C + r diag C) w = C_i` over all
    other leaves. So masking acts as a ridge of r / (1 - r). Raises ValueError for a ratio outside (0, 1).
    """
    _check_ratio(ratio)
    damped = (1 - ratio) * covariance + ratio * np.diag(np.diag(covariance))
    weights = np.zeros_like(damped)
    for i in range(len(damped)):
        others = np.arange(len(damped)) != i
        weights[i, others] = np.linalg.solve(damped[np.ix_(others, others)], covariance[others, i])
    return weights


def linear_gains(covariance: np.ndarray, ratio: float) -> np.ndarray:
    """Variance of an image that the best linear autoencoder explains, by target and source: (leaves, leaves).

    Entry (i, j) is what visible leaf j explains of hidden leaf i, in expectation over masks; the entries sum to the
    reduction of the expected loss below that of predicting the mean.
    """
    return ratio * (1 - ratio) * covariance * linear_mae(covariance, ratio)


def mask_correlations(law: np.ndarray, masked: Sequence[int]) -> np.ndarray:
    """Singular values of the normalised graph of a mask, which joins visible and hidden views, descending.

    The first is 1. The graph that joins visible views through what they hide has their squares as eigenvalues; its
    spectral gap is 1 minus the square of the second. A mask and its complement agree. Raises ValueError for a mask that
    hides nothing or everything.
    """
    visible = [i for i in range(law.ndim) if i not in set(masked)]
    if not visible or len(visible) == law.ndim:
        raise ValueError(f"masked is {list(masked)} of {law.ndim} leaves: hide one at least, and show one")
    joint = law.transpose([*visible, *sorted(set(masked))]).reshape(2 ** len(visible), -1)
    sides = np.sqrt(joint.sum(1, keepdims=True)) * np.sqrt(joint.sum(0, keepdims=True))
    return np.linalg.svd(np.divide(joint, sides, out=np.zeros_like(joint), where=sides > 0), compute_uv=False)


def spectral_gaps(law: np.ndarray, ratios: Sequence[float]) -> np.ndarray:
    """The mean spectral gap over random masks that hide and show at least one leaf, for each ratio: (ratios,)."""
    masks = np.array(list(product((False, True), repeat=law.ndim)))[1:-1]
    gaps = np.array([1 - mask_correlations(law, np.flatnonzero(m))[1] ** 2 for m in masks])
    hidden, found = masks.sum(1), []
    for ratio in ratios:
        _check_ratio(ratio)
        weights = ratio**hidden * (1 - ratio) ** (law.ndim - hidden)
        found.append(weights @ gaps / weights.sum())
    return np.array(found)


def _check_ratio(ratio: float) -> None:
    if not 0 < ratio < 1:
        raise ValueError(f"ratio is {ratio}: it must lie between 0 and 1")
