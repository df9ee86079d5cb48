"""How well the hidden pixels of the invertible tree can be predicted at best: the limit for every model.

One visible leaf determines all of its ancestors. So, of the noises behind a hidden leaf, the visible leaves reveal
exactly those of A = An[M] ∩ An[N], and the lowest ancestor shared with a visible leaf decides how much of it can be
known. The best prediction under the squared error is the conditional mean, and its error the conditional variance: in
closed form on the linear tree (slope 1), by resampling what is not known on any other.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mae_lib.theory import locate_shared_information_batch
from mae_lib.worlds.invertible_tree import InvertibleTree

_NODES = 32  # of the Gauss-Hermite quadrature: enough for 1e-10


def shared_depth(masks: Tensor) -> Tensor:
    """The depth of the lowest node that each leaf shares with a visible leaf: int64, like `masks`, (B, 4^depth) bool.

    0 is the root; a visible leaf has its own depth; -1 where nothing is visible. Leaves come in raster order, True is
    masked. Raises ValueError for masks that are not boolean or not a quadtree of leaves.
    """
    side = int(masks.shape[-1] ** 0.5)
    if masks.dtype != torch.bool or masks.ndim != 2 or side**2 != masks.shape[1] or side & (side - 1):
        raise ValueError(f"masks are {masks.dtype} {tuple(masks.shape)}: give bool (images, leaves), 4^depth leaves")
    visible, found = ~masks.view(-1, side, side), torch.full_like(masks, -1, dtype=torch.int64)
    for depth in range(side.bit_length()):
        block = side >> depth
        shown = visible.view(-1, side // block, block, side // block, block).any((2, 4))
        found[_repeat(shown, block).flatten(1)] = depth
    return found


def _repeat(nodes: Tensor, block: int) -> Tensor:
    return nodes.repeat_interleave(block, 1).repeat_interleave(block, 2)


def sampled_limit(world: InvertibleTree, indices: Tensor, split: str = "test", draws: int = 4) -> Tensor:
    """The limit of any tree, by resampling what is not known: float64 (images, depth + 1, leaves).

    Row 0 is given nothing, row k + 1 a leaf's ancestors down to depth k. Two images that share what is known differ by
    twice the variance of the rest, so half their squared difference is an unbiased estimate of the least mean squared
    error of a pixel in [0, 1]; the mean over images has an interval.
    Raises ValueError for fewer than one draw.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}: at least one is needed")
    images = world.sample(indices, split).images
    rows = []
    for known in range(world.depth + 1):
        keep = tuple(f"level{d}" for d in range(known))
        others = (world.resample(indices, keep, split, draw).images for draw in range(1, draws + 1))
        rows.append(sum(_leaf_errors(world, images, other) for other in others) / (2 * draws))
    return torch.stack(rows, 1)


def _leaf_errors(world: InvertibleTree, images: Tensor, others: Tensor) -> Tensor:
    """Mean squared difference of each leaf's pixels: float64 (B, leaves)."""
    side = 2**world.depth
    squared = (images.double() - others.double()).square().mean(1)
    return squared.view(-1, side, world.patch, side, world.patch).mean((2, 4)).flatten(1)


def linear_limit(world: InvertibleTree) -> Tensor:
    """The limit of the linear tree in closed form: float64 (depth + 1, leaves), rows as in `sampled_limit`.

    A leaf's numbers have variance 1, of which the known noises explain a share. Given mean m and variance v of a number
    x, the pixel sigmoid(x) has the mean E[sigmoid(m + √v n)], n standard normal; the limit is E[sigmoid(x)²] minus that
    mean's square, averaged over m: Gauss-Hermite quadrature. Raises ValueError for a slope other than 1.
    """
    explained = _explained(world)  # (depth + 1, leaves, leaf dim)
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(_NODES))
    weights = weights / weights.sum()
    second = (nodes.sigmoid().square() * weights).sum()
    known, rest = explained.sqrt()[..., None, None], (1 - explained).clamp_min(0).sqrt()[..., None, None]
    mean = ((known * nodes[:, None] + rest * nodes).sigmoid() * weights).sum(-1)  # (..., nodes): for each value of m
    return (second - (mean.square() * weights).sum(-1)).mean(-1)


def _explained(world: InvertibleTree) -> Tensor:
    """The share of each leaf number's variance that its ancestors' noises explain: (depth + 1, leaves, leaf dim)."""
    loadings, slices = world.loadings()
    by_level = torch.stack([loadings[:, slices[f"level{d}"]].square().sum(1) for d in range(world.depth)])
    shares = torch.cat([torch.zeros_like(by_level[:1]), by_level.cumsum(0)])
    return shares.view(world.depth + 1, 4**world.depth, -1)


def gaussian_posterior(world: InvertibleTree, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden numbers given the visible ones on the linear tree, by the Schur complement of their covariance.

    For a mask bool (leaves,): the conditional mean as a matrix on all noises, (hidden numbers, noises), and the
    conditional covariance, (hidden numbers, hidden numbers); float64. Raises ValueError for a slope other than 1.
    """
    hidden, visible = _sides(world, mask)
    # The visible numbers outnumber the noises behind them, so their covariance has only a pseudo-inverse.
    gram = torch.linalg.pinv(visible @ visible.T, hermitian=True, rtol=1e-9)
    mean = hidden @ visible.T @ gram @ visible
    return mean, (hidden - mean) @ hidden.T


def shared_posterior(world: InvertibleTree, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The same as `gaussian_posterior`, by Algorithm 1: the noises of A are known, and all others integrated out."""
    split = locate_shared_information_batch(world.hierarchy, mask[None].numpy()).split[0]
    widths = [world.dim(max(d - 1, 0)) for d in range(world.depth + 1) for _ in range(4**d)]
    leaves = np.zeros(4**world.depth, bool)  # a leaf's own noise is never shared
    known = torch.from_numpy(np.repeat(np.concatenate([split, leaves]), widths))
    hidden, _ = _sides(world, mask)
    rest = hidden * ~known
    return hidden * known, rest @ rest.T


def linear_predictor(world: InvertibleTree, images: Tensor, masks: Tensor) -> Tensor:
    """The best prediction of the hidden pixels of the linear tree from the visible ones: float32 like images.

    images (B, 3, H, W) in (0, 1), masks bool (B, leaves), True = masked; visible pixels are copied. Each number's
    conditional mean m and variance v are those of `gaussian_posterior`, and the pixel's is E[sigmoid(m + √v n)].
    Raises ValueError for a slope other than 1, and for a mask that hides all leaves or none.
    """
    numbers = world.from_image(images.double())
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(_NODES))
    found = numbers.clone()
    for mask in masks.unique(dim=0):
        rows = (masks == mask).all(1)
        gain, variance = _regression(world, tuple(mask.tolist()))
        mean = numbers[rows][:, ~mask].flatten(1) @ gain.T
        pixels = ((mean[..., None] + variance.sqrt()[:, None] * nodes).sigmoid() * weights).sum(-1) / weights.sum()
        found[rows.nonzero(), mask] = pixels.logit().view(len(mean), int(mask.sum()), -1)
    return world.to_image(found)


@lru_cache(maxsize=64)  # a few hundred kilobytes each
def _regression(world: InvertibleTree, mask: tuple[bool, ...]) -> tuple[Tensor, Tensor]:
    """Hidden numbers on visible ones: the matrix of the conditional mean, and the conditional variances."""
    hidden, visible = _sides(world, torch.tensor(mask))
    gain = hidden @ visible.T @ torch.linalg.pinv(visible @ visible.T, hermitian=True, rtol=1e-9)
    return gain, (hidden - gain @ visible).square().sum(1)


def _sides(world: InvertibleTree, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The loadings of the hidden and of the visible numbers on all noises."""
    leaves = 4**world.depth
    if mask.dtype != torch.bool or mask.shape != (leaves,) or mask.all() or not mask.any():
        raise ValueError(f"mask is {mask.dtype} {tuple(mask.shape)}: give bool ({leaves},) with some of either kind")
    loadings = world.loadings()[0].view(leaves, world.dim(world.depth), -1)
    return loadings[mask].flatten(0, 1), loadings[~mask].flatten(0, 1)
