"""Bits about the hidden pixels from each level of a latent tree: exact, for any mask or law of masks.

For a hidden pixel x with ancestors a1 (its parent), ..., aL (the root), let Vk be the visible pixels below ak. Level k
provides `H(x | V(k-1)) - H(x | Vk)` bits, V0 being empty: what is known through ak and not through anything below it.
The sum over levels is the mutual information of x and the visible pixels; we sum over hidden pixels as well.

One pass up the tree computes it (belief propagation, Pearl 1988), summing over images and masks instead of sampling.
The visible pixels below a node send it a *message*, a likelihood for each of its states; images and masks with
proportional messages are merged and their probabilities added. A grammar such as the figurines' leaves a handful of
messages at each node. Where there are too many, `sampled_bits` samples the images, and only these.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.mask_levels import FixedCount, IndependentUnits

_DECIMALS = 12  # to which two messages must agree to be merged
_MOST = 2_000_000  # pairs of messages at one node
_NEVER = 1e-14  # a probability that is a rounding error


@dataclass(frozen=True)
class Bits:
    """Bits about the hidden pixels, summed over them: an expectation over images for each mask or law.

    by_level: float64 (masks, levels), bits from each level, lowest first.
    hidden: float64 (masks,), the most there is to know: the hidden pixels' marginal entropies.
    """

    by_level: np.ndarray
    hidden: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Each level's share of all bits gained: float64 (masks, levels), `NaN` where none is gained."""
        total = self.by_level.sum(-1, keepdims=True)
        return np.divide(self.by_level, total, out=np.full_like(self.by_level, np.nan), where=total > 1e-12)


def mask_bits(tree: DiscreteTree, masks: np.ndarray) -> Bits:
    """The bits of each mask, bool (masks, observables), True = masked; the expectation over images is exact.

    Raises ValueError for masks that do not fit, or for a tree with too many messages at some node.
    """
    masks = checked_masks(tree, masks)
    return _bits(tree, np.arange(masks.shape[1]), masks.T.astype(float), (~masks).T.astype(float))


def expected_bits(
    tree: DiscreteTree, laws: Sequence[IndependentUnits | FixedCount], unit_of: np.ndarray | None = None
) -> Bits:
    """The expected bits under each law of masks, one row per law; the expectations over images and masks are exact.

    unit_of: the mask unit of each observable, int (observables,) numbered from 0; by default each is its own. A unit
    must be all observables below one node; otherwise average `mask_bits` over masks.
    A fixed count is computed from independent units: with a phase on the weight of "hidden", the expectation is a
    trigonometric polynomial whose coefficients belong to the numbers of hidden units.
    Raises ValueError as `mask_bits` does, and for a law or a unit that does not fit; TypeError for another kind of law.
    """
    count = len(tree.hierarchy.observables)
    unit_of = np.arange(count) if unit_of is None else np.asarray(unit_of)
    units = int(unit_of.max(initial=-1)) + 1
    columns = [_columns(law, units) for law in laws]
    if not columns:
        raise ValueError("laws is empty: give one law or more")
    hide = np.concatenate([hide for hide, _, _ in columns])
    show = np.concatenate([show for _, show, _ in columns])
    every = np.ones((units, 1))
    found = _bits(tree, unit_of, every * hide, every * show)
    stops = np.cumsum([len(hide) for hide, _, _ in columns])[:-1]

    def mixed(values: np.ndarray) -> np.ndarray:
        parts = zip((w for _, _, w in columns), np.split(values, stops), strict=True)
        return np.array([(w @ part).real for w, part in parts])

    return Bits(mixed(found.by_level), mixed(found.hidden))


def _columns(law: IndependentUnits | FixedCount, units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of a hidden and of a visible unit in some columns, and how the columns add up to the law."""
    if isinstance(law, IndependentUnits):
        return np.array([law.ratio]), np.array([1 - law.ratio]), np.ones(1)
    if not isinstance(law, FixedCount):
        raise TypeError(f"{law!r} is no IndependentUnits or FixedCount: average mask_bits over its masks")
    if law.total != units:
        raise ValueError(f"total is {law.total}: there are {units} units to choose from")
    ratio = law.masked / units
    points = np.arange((units + 1) // 2 + 1)  # of units + 1; the others are conjugates, so that these count twice
    turns = np.exp(2j * np.pi * points / (units + 1))
    twice = np.where(2 * points % (units + 1), 2, 1)
    chance = math.comb(units, law.masked) * IndependentUnits(ratio).probability(law.masked, units - law.masked)
    return ratio * turns, np.full(len(points), 1 - ratio), twice * turns**-law.masked / (units + 1) / chance


# What is known of a node, or of a node and a hidden pixel below it, is a pair of arrays: `ways` (rows, states, values),
# scaled so that a row's expectation under the node's own marginal is 1, and `weights` (rows, columns), the probability
# of each row under each mask or law. A message about the node alone has a single value.
_Known = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Node:
    """Messages of the visible pixels below a node, the hidden ones given those, and their entropies, (columns,)."""

    told: _Known
    asked: _Known
    left: np.ndarray


def _bits(tree: DiscreteTree, unit_of: np.ndarray, hide: np.ndarray, show: np.ndarray) -> Bits:
    """hide, show: the weights of a hidden and of a visible unit, (units, columns); all units share their sum."""
    nodes, both = _unit_nodes(tree, unit_of), hide[0] + show[0]
    seen: dict[Hashable, _Node] = {}  # equal subtrees under equal masks are computed once
    known, size = {}, dict.fromkeys(nodes, 1)  # size: units below a node
    for unit, i in enumerate(nodes):
        key = _shape(tree, i), hide[unit].tobytes(), show[unit].tobytes()
        known[i] = seen[key] = seen.get(key) or _unit(tree, i, hide[unit], show[unit])
    hidden = sum(known[i].left for i in nodes) * both ** (len(nodes) - 1)
    by_level = np.zeros((len(both), levels_of(tree)), dtype=hidden.dtype)
    for i in _proper_ancestors(tree, nodes):
        children = tree.children[i].tolist()
        size[i] = sum(size[c] for c in children)
        key = _rounded(tree.marginals[i]), *((tree.tables[c].tobytes(), id(known[c])) for c in children)
        known[i] = seen[key] = seen.get(key) or _latent(tree, i, [known[c] for c in children])
        before = sum(known[c].left * both ** (size[i] - size[c]) for c in children)
        by_level[:, tree.hierarchy.node_levels[i] - 1] += (before - known[i].left) * both ** (len(nodes) - size[i])
    return Bits(by_level, hidden)


def _unit(tree: DiscreteTree, i: int, hide: np.ndarray, show: np.ndarray) -> _Node:
    (seen, weights), (pixels, ones) = _within(tree, i)
    nothing = np.ones((1, len(tree.marginals[i]), 1))
    told = _merged(np.concatenate([nothing, seen]), np.concatenate([hide[None], weights * show]), tree, i)
    asked = pixels, ones * hide
    return _Node(told, asked, _entropy(asked, tree.marginals[i]))


def _latent(tree: DiscreteTree, i: int, below: list[_Node]) -> _Node:
    children = tree.children[i].tolist()
    told, others = _all_but_one([_up(tree, c, node.told) for c, node in zip(children, below, strict=True)], tree, i)
    pairs = [(_up(tree, c, node.asked), other) for c, node, other in zip(children, below, others, strict=True)]
    left = sum(_entropy(pixels, tree.marginals[i], other) for pixels, other in pairs)
    if i == 0:  # nothing above the root needs them
        return _Node(told, pairs[0][0], left)
    return _Node(told, _union([_product(pixels, other, tree, i) for pixels, other in pairs], tree, i), left)


def _within(tree: DiscreteTree, i: int) -> tuple[_Known, _Known]:
    """Everything below node i: its message to i if visible, and its pixels if hidden."""
    if i >= tree.hierarchy.latent_count:
        marginal, values = tree.marginals[i], max(map(len, tree.marginals[tree.hierarchy.latent_count :]))
        possible = np.flatnonzero(marginal)
        seen = np.eye(len(marginal))[possible, :, None] / marginal[possible, None, None]
        return (seen, marginal[possible, None]), (np.eye(len(marginal), values)[None], np.ones((1, 1)))
    below = [(c, *_within(tree, c)) for c in tree.children[i].tolist()]
    seen, _ = _all_but_one([_up(tree, c, told) for c, told, _ in below], tree, i)
    return seen, _union([_up(tree, c, pixels) for c, _, pixels in below], tree, i)


def _shape(tree: DiscreteTree, i: int) -> Hashable:
    below = ((tree.tables[c].tobytes(), _shape(tree, c)) for c in tree.children[i].tolist())
    return _rounded(tree.marginals[i]), *below


def _rounded(marginal: np.ndarray) -> bytes:
    return marginal.round(_DECIMALS).tobytes()


def _up(tree: DiscreteTree, child: int, known: _Known) -> _Known:
    ways, weights = known
    return np.einsum("ps,ksx->kpx", tree.tables[child], ways), weights


def _all_but_one(told: list[_Known], tree: DiscreteTree, i: int) -> tuple[_Known, list[_Known]]:
    """The message to node i from all children, and for each child from the others."""
    nothing = np.ones((1, len(tree.marginals[i]), 1)), np.ones((1, 1))
    before, after = [nothing], [nothing]
    for one, other in zip(told, reversed(told)):
        before.append(_product(before[-1], one, tree, i))
        after.append(_product(after[-1], other, tree, i))
    return before[-1], [_product(b, a, tree, i) for b, a in zip(before, after[-2::-1])]


def _product(a: _Known, b: _Known, tree: DiscreteTree, i: int) -> _Known:
    """Every row of a with every row of b, which are independent given node i; b is about the node alone."""
    if len(a[0]) * len(b[0]) > _MOST:
        name = tree.hierarchy.nodes[i]
        raise ValueError(f"{len(a[0]):,} times {len(b[0]):,} messages meet at {name!r}: use sampled_bits on this tree")
    ways = (a[0][:, None] * b[0]).reshape(-1, *a[0].shape[1:])
    weights = (a[1][:, None] * b[1]).reshape(len(ways), -1)
    together = np.einsum("s,ksx->k", tree.marginals[i], ways)
    kept = together > _NEVER  # the two may contradict each other
    scale = together[kept, None]
    return _merged(ways[kept] / scale[..., None], weights[kept] * scale, tree, i)


def _union(parts: list[_Known], tree: DiscreteTree, i: int) -> _Known:
    ways, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _merged(ways, weights, tree, i)


def _merged(ways: np.ndarray, weights: np.ndarray, tree: DiscreteTree, i: int) -> _Known:
    """Equal rows merged, rows that no mask allows dropped."""
    possible = weights.any(1)
    possible[0] |= not possible.any()  # what is never hidden keeps one row, of weight 0
    ways, weights = ways[possible], weights[possible]
    joint = (ways * tree.marginals[i][:, None]).reshape(len(ways), -1)
    _, first, which = np.unique(joint.round(_DECIMALS), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    starts = np.searchsorted(which.ravel()[order], np.arange(len(first)))
    return ways[first], np.add.reduceat(weights[order], starts, axis=0)


def _entropy(pixels: _Known, marginal: np.ndarray, other: _Known | None = None) -> np.ndarray:
    """The entropies of the pixels in bits, each given its row, and each row of `other` if any, added up: (columns,)."""
    ways, weights = pixels
    beside, chances = other or (np.ones((1, len(marginal), 1)), np.ones((1, 1)))
    joint = (ways.swapaxes(1, 2) * marginal) @ beside[..., 0].T  # (rows, values, rows of other)
    together = joint.sum(1)
    p = np.divide(joint, together[:, None], out=np.zeros_like(joint), where=together[:, None] > _NEVER)
    return (together * entropy(p.swapaxes(1, 2)) @ chances * weights).sum(0)


def levels_of(tree: DiscreteTree) -> int:
    """The number of levels of latents."""
    return int(tree.hierarchy.node_levels.max())


def checked_masks(tree: DiscreteTree, masks: np.ndarray) -> np.ndarray:
    """bool (masks, observables), or ValueError."""
    masks, count = np.asarray(masks), len(tree.hierarchy.observables)
    if masks.dtype != bool or masks.ndim != 2 or masks.shape[1] != count:
        raise ValueError(f"masks are {masks.dtype} {masks.shape}: give bool (masks, {count}), True = masked")
    return masks


def entropy(p: np.ndarray) -> np.ndarray:
    """Entropy of the last axis, in bits."""
    return -(p * np.log2(p, out=np.zeros_like(p), where=p > 0)).sum(-1)


def _unit_nodes(tree: DiscreteTree, unit_of: np.ndarray) -> list[int]:
    """The lowest node that has all pixels of a unit below it, and no others."""
    count, first = len(tree.hierarchy.observables), tree.hierarchy.latent_count
    if unit_of.shape != (count,) or not np.array_equal(np.unique(unit_of), np.arange(unit_of.max(initial=-1) + 1)):
        raise ValueError(f"unit_of {unit_of.shape} must give each of the {count} observables a unit numbered from 0")
    smallest: dict[bytes, int] = {}
    below = np.eye(len(tree.tables), count, -first, dtype=bool)
    for i in reversed(range(len(below))):
        below[i] |= below[tree.children[i]].any(0)
        smallest.setdefault(below[i].tobytes(), i)
    nodes = [smallest.get((unit_of == unit).tobytes(), -1) for unit in range(int(unit_of.max()) + 1)]
    if -1 in nodes:
        raise ValueError(
            f"unit {nodes.index(-1)} of unit_of is not all that is below one node: average mask_bits instead"
        )
    return nodes


def _proper_ancestors(tree: DiscreteTree, nodes: Iterable[int]) -> list[int]:
    """The nodes above any of these, lowest first."""
    found: set[int] = set()
    for i in nodes:
        while (i := int(tree.parent[i])) >= 0 and i not in found:
            found.add(i)
    return sorted(found, reverse=True)
