"""Bits per level on trees too large for `mae_lib.theory.information`: images are drawn, entropies are exact."""

from collections.abc import Iterator

import numpy as np

from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.information import checked_masks, entropy, levels_of

_CHUNK = 2**23  # numbers held at once


def sampled_bits(tree: DiscreteTree, masks: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The bits of single images under single masks: float64 (images, levels), lowest level first.

    masks: bool (images, observables), True = masked; images: int, of the same shape. The entropies are those of the
    exact posteriors (belief propagation), so the mean over drawn images is an unbiased estimate of `Bits.by_level`.
    A single image's bits may be negative: its visible pixels can make hidden ones less certain.
    Raises ValueError for shapes that do not fit, and for images impossible on the tree.
    """
    masks, images = _checked(tree, masks, images)
    parts = [_in_bits(tree, *both) for both in _chunks(tree, masks, images)]
    return np.concatenate(parts) if parts else np.zeros((0, levels_of(tree)))


def level_posteriors(tree: DiscreteTree, masks: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The posterior of each pixel as more of the tree is used: float64 (images, levels + 1, pixels, values).

    Entry k is the posterior given the visible pixels below the pixel's ancestor of level k: entry 0 is the prior, the
    last one is given all that is visible. For a visible pixel it is given the *other* visible ones.
    masks, images and errors as in `sampled_bits`.
    """
    masks, images = _checked(tree, masks, images)
    parts = [_posteriors(tree, *both) for both in _chunks(tree, masks, images)]
    return np.concatenate(parts) if parts else np.zeros((0, levels_of(tree) + 1, masks.shape[1], _values(tree)))


def _checked(tree: DiscreteTree, masks: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    masks, images = checked_masks(tree, masks), np.asarray(images)
    if images.shape != masks.shape or not np.issubdtype(images.dtype, np.integer):
        raise ValueError(f"images are {images.dtype} {images.shape}: give int {masks.shape}, one image a mask")
    return masks, images


def _chunks(tree: DiscreteTree, masks: np.ndarray, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    step = max(1, _CHUNK // (masks.shape[1] * max(map(len, tree.marginals)) ** 2))
    return ((masks[i : i + step], images[i : i + step]) for i in range(0, len(masks), step))


def _values(tree: DiscreteTree) -> int:
    """The largest number of values of an observable."""
    return max(map(len, tree.marginals[tree.hierarchy.latent_count :]))


def _in_bits(tree: DiscreteTree, masks: np.ndarray, images: np.ndarray) -> np.ndarray:
    left = (entropy(_posteriors(tree, masks, images)) * masks[:, None]).sum(-1)
    return left[:, :-1] - left[:, 1:]


def _posteriors(tree: DiscreteTree, masks: np.ndarray, images: np.ndarray) -> np.ndarray:
    first, values = tree.hierarchy.latent_count, _values(tree)
    told: dict[int, np.ndarray] = {}  # the likelihood of each state of a node: (images, states)
    asked: dict[int, np.ndarray] = {}  # with that of each pixel below it: (images, pixels, states, values)
    below: dict[int, list[int]] = {}  # those pixels
    found = np.zeros((len(masks), levels_of(tree) + 1, masks.shape[1], values))
    for i in reversed(range(len(tree.tables))):
        marginal, children = tree.marginals[i], tree.children[i].tolist()
        if i >= first:
            mask, states = masks[:, i - first, None], len(marginal)
            told[i] = np.where(mask, 1.0, _one_hot(images[:, i - first], states, tree.hierarchy.nodes[i]))
            asked[i] = np.broadcast_to(np.eye(states, values), (len(masks), 1, states, values))
            below[i], found[:, :, i - first, :states] = [i - first], marginal
            continue
        up = [told.pop(c) @ tree.tables[c].T for c in children]
        told[i] = _scaled(np.prod(up, axis=0), marginal)
        others = [np.prod([np.ones_like(up[k]), *up[:k], *up[k + 1 :]], axis=0) for k in range(len(up))]
        asked[i] = np.concatenate(
            [_pixels(tree, c, asked.pop(c), other) for c, other in zip(children, others, strict=True)], axis=1
        )
        below[i] = [pixel for c in children for pixel in below.pop(c)]
        # Nodes come level by level, so a higher node's posterior overwrites this one.
        known = np.einsum("s,bnsx->bnx", marginal, asked[i])
        found[:, tree.hierarchy.node_levels[i] :, below[i]] = (known / known.sum(-1, keepdims=True))[:, None]
    return found


def _one_hot(values: np.ndarray, states: int, name: object) -> np.ndarray:
    if values.size and not 0 <= values.min() <= values.max() < states:
        raise ValueError(f"images have values of {name!r} that are not in [0, {states})")
    return np.eye(states)[values]


def _scaled(likelihood: np.ndarray, marginal: np.ndarray) -> np.ndarray:
    chance = likelihood @ marginal
    if not chance.all():
        raise ValueError("an image is impossible on this tree: draw images with tree.sample")
    return likelihood / chance[:, None]


def _pixels(tree: DiscreteTree, child: int, asked: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The pixels below a child as its parent sees them, given what the other children show."""
    seen = np.einsum("ps,bnsx->bnpx", tree.tables[child], asked, optimize=True) * other[:, None, :, None]
    return seen / seen.max((2, 3), keepdims=True)
