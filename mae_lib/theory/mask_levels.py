"""How deep c lies when masks are random: exact formulas on regular trees, enumeration, and Monte Carlo.

Everything is in mask *units*: blocks of observables that are masked together. A law of masks enters only by the
probability that some given units are masked and some other given units are visible; every formula is a sum of these.

Levels have two weightings. Averaged over c, that is over sinks, ratios r and 1 - r agree, since a mask and its
complement have the same c. Averaged over hidden observables, as in the loss of Equation 2, they do not: different
observables are hidden.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from mae_lib.theory.graph_checks import Node
from mae_lib.theory.hierarchy import LatentHierarchy
from mae_lib.theory.shared_information import locate_shared_information_batch

_MOST_UNITS = 20


class MaskLaw(Protocol):
    """A distribution of masks under which units are exchangeable."""

    def probability(self, masked: int, visible: int) -> float:
        """P(`masked` given units are masked and `visible` other given units are not)."""

    def draw(self, generator: np.random.Generator, draws: int, units: int) -> np.ndarray:
        """bool (draws, units), True = masked."""


@dataclass(frozen=True)
class IndependentUnits:
    """Each unit is masked with probability `ratio` in [0, 1], independently."""

    ratio: float

    def __post_init__(self):
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio is {self.ratio!r}: it must lie in [0, 1]")

    def probability(self, masked: int, visible: int) -> float:
        return self.ratio**masked * (1 - self.ratio) ** visible

    def draw(self, generator: np.random.Generator, draws: int, units: int) -> np.ndarray:
        return generator.random((draws, units)) < self.ratio


@dataclass(frozen=True)
class FixedCount:
    """`masked` of `total` units are masked, all choices equally likely (as in MAE)."""

    masked: int
    total: int

    def __post_init__(self):
        if not 0 <= self.masked <= self.total:
            raise ValueError(f"masked is {self.masked!r}: it must lie between 0 and total, {self.total!r}")

    @classmethod
    def of_ratio(cls, ratio: float, total: int) -> "FixedCount":
        """As MAE masks `total` patches at a ratio in [0, 1]: it shows `int(L(1 - r))` and hides the others."""
        return cls(total - visible_count(total, ratio), total)

    def probability(self, masked: int, visible: int) -> float:
        if masked > self.masked or masked + visible > self.total:
            return 0.0
        ways = math.comb(self.total - masked - visible, self.masked - masked)
        return ways / math.comb(self.total, self.masked)

    def draw(self, generator: np.random.Generator, draws: int, units: int) -> np.ndarray:
        return generator.permuted(np.tile(np.arange(units) < self.masked, (draws, 1)), axis=1)


def visible_count(patches: float, ratio: float) -> int:
    """How many of L patches an MAE sees at ratio r: `int(L(1 - r))`."""
    # Rounded first: 100 * (1 - 0.9) is 9.999999999999998 in floating point and means 10.
    return int(round(patches * (1 - ratio), 9))


def split_probability(law: MaskLaw, units: int) -> float:
    """P(z ∈ A) for a latent z over that many units: neither all are masked nor all visible."""
    if units <= 1:
        return 0.0
    return max(0.0, 1 - law.probability(units, 0) - law.probability(0, units))


def sink_probability(law: MaskLaw, units: int, children: int) -> float:
    """P(z ∈ c) for a latent over `units` units, an equal share of them below each of its `children` children.

    z is in c when each child is all masked or all visible and both kinds occur. With n units and b children P is the
    sum of `C(b, j) P(j n/b units masked, (b - j) n/b visible)` over 0 < j < b, for independent units of ratio r
    `(r^(n/b) + (1-r)^(n/b))^b - r^n - (1-r)^n`. Raises ValueError if children does not divide units.
    """
    if children < 1 or units % children:
        raise ValueError(f"children is {children}: it must divide the number of units, {units}")
    each = units // children
    ways = (math.comb(children, j) * law.probability(j * each, (children - j) * each) for j in range(1, children))
    return math.fsum(ways)


def expected_sinks(branching: Sequence[int], law: MaskLaw, unit: int = 1) -> np.ndarray:
    """E[number of latents in c] at each level of `LatentHierarchy.tree(branching)`, lowest level first: (levels,).

    unit: observables in a mask unit, neighbours in the tree (4 for 2 x 2 pixels of a quadtree). No latent within one
    unit is ever split. Raises ValueError for a unit that does not fit the tree: it must divide the number of
    observables under each larger latent, and contain whole children.
    """
    if unit < 1:
        raise ValueError(f"unit is {unit}: it must be a positive number of observables")
    _check_fit(law, math.prod(branching) // unit)
    expected = []
    for depth in range(len(branching))[::-1]:
        leaves, children = math.prod(branching[depth:]), branching[depth]
        each = leaves // children  # observables below each child
        if leaves > unit and (leaves % unit or max(unit, each) % min(unit, each)):
            raise ValueError(f"unit is {unit}: it does not fit latents with {children} children of {each} observables")
        # A unit that covers several children merges them into one.
        groups = min(children, leaves // unit)
        probability = sink_probability(law, leaves // unit, groups) if leaves > unit else 0.0
        expected.append(math.prod(branching[:depth]) * probability)
    return np.array(expected)


def hidden_levels(branching: Sequence[int], law: MaskLaw, unit: int = 1) -> np.ndarray:
    """Law of the level of the lowest ancestor that a hidden observable shares with a visible one: (levels + 1,).

    P(level 1), P(level 2), ..., and last P(it shares none, since all are hidden), given that the observable is hidden.
    The ancestor lies above level k if all n_k units below the observable's own ancestor of level k are hidden: for
    independent units of ratio r, `r^(n_k - 1)`, which is not symmetric in r and 1 - r. branching and unit as in
    `expected_sinks`; a latent within one unit counts as one unit. Raises ValueError for a law that hides nothing.
    """
    units = _units_below(branching, law, unit)
    hidden = law.probability(1, 0)
    if hidden == 0:
        raise ValueError(f"{law!r} hides nothing: there is no hidden observable whose level could be asked for")
    above = [1.0, *(law.probability(n, 0) / hidden for n in units), 0.0]
    return -np.diff(above)


def _units_below(branching: Sequence[int], law: MaskLaw, unit: int) -> list[int]:
    """Mask units below a latent of each level, lowest level first; 1 for a latent within one."""
    if unit < 1:
        raise ValueError(f"unit is {unit}: it must be a positive number of observables")
    _check_fit(law, math.prod(branching) // unit)
    leaves = [math.prod(branching[depth:]) for depth in range(len(branching))][::-1]
    for n in leaves:
        if max(n, unit) % min(n, unit):
            raise ValueError(f"unit is {unit}: it does not fit latents over {n} observables")
    return [max(n // unit, 1) for n in leaves]


def shared_levels(hierarchy: LatentHierarchy, masks: np.ndarray) -> np.ndarray:
    """Level of the lowest latent that each hidden observable shares with a visible one: int64, like masks.

    masks: bool (masks, observables), True = masked. 0 where the observable is visible or shares none.
    """
    split = locate_shared_information_batch(hierarchy, masks).split
    none = hierarchy.node_levels.max(initial=0) + 1
    lowest = np.full((len(masks), len(hierarchy.node_levels)), none, dtype=np.int64)
    for i, node in enumerate(hierarchy.nodes):  # parents come first
        for parent in hierarchy.parents(node):
            lowest[:, i] = np.minimum(lowest[:, i], lowest[:, hierarchy.index(parent)])
        if i < hierarchy.latent_count:
            lowest[split[:, i], i] = hierarchy.level(node)
    levels = lowest[:, hierarchy.latent_count :]
    return np.where(masks & (levels < none), levels, 0)


def mean_level(counts: np.ndarray) -> np.ndarray:
    """Mean level from weights of the levels (..., levels), lowest first, such as numbers of latents; `NaN` for none."""
    counts = np.asarray(counts, dtype=float)
    total = counts.sum(-1)
    weighted = counts @ np.arange(1, counts.shape[-1] + 1)
    return np.divide(weighted, total, out=np.full_like(total, np.nan), where=total > 0)


def sinks_per_level(hierarchy: LatentHierarchy, masks: np.ndarray) -> np.ndarray:
    """Number of latents in c at each level, lowest first, for masks (masks, observables): int64 (masks, levels)."""
    c, levels = locate_shared_information_batch(hierarchy, masks).c, hierarchy.node_levels[: hierarchy.latent_count]
    return np.stack([c[:, levels == level].sum(1) for level in range(1, levels.max(initial=0) + 1)], axis=1)


def sinks_of_targets(hierarchy: LatentHierarchy, targets: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """`sinks_per_level` when only some masked observables are predicted: int64 (masks, levels), lowest level first.

    targets, visible: bool (masks, observables) each; the rest are hidden and not predicted. c are the lowest latents
    with a target and a visible observable below them.
    """
    levels = hierarchy.node_levels[: hierarchy.latent_count]
    counts = np.zeros((len(targets), levels.max(initial=0)), dtype=np.int64)
    for row, sides in zip(counts, zip(targets, visible, strict=True)):
        above = [hierarchy.or_descendants(np.concatenate([np.zeros(len(levels), bool), side])) for side in sides]
        split = above[0] & above[1]
        sinks = (split & ~hierarchy.or_children(split))[: len(levels)]
        np.add.at(row, levels[sinks] - 1, 1)
    return counts


def square_units(side: int, unit: int) -> np.ndarray:
    """The mask unit of each pixel of a side x side image in row-major order, units of unit x unit: int64 (side²,)."""
    if unit < 1 or side % unit:
        raise ValueError(f"unit is {unit}: it must divide the side, {side}")
    rows = np.arange(side) // unit
    return (rows[:, None] * (side // unit) + rows).ravel()


def subtree_units(hierarchy: LatentHierarchy, level: int) -> np.ndarray:
    """The subtree that each observable lies in when a tree is cut above `level`: int64 (observables,), from 0.

    A unit is all observables below one latent of at most that level whose parent is higher; an observable whose parent
    is higher is a unit of its own. On a quadtree these are `square_units` of 2^level. Raises ValueError, naming the
    node, for one with several parents, or for a level that leaves fewer than two units.
    """
    unit: dict[Node, Node] = {}
    for node in hierarchy.nodes:  # parents come first
        parents = hierarchy.parents(node)
        if len(parents) > 1:
            raise ValueError(f"{node!r} has {len(parents)} parents: only a tree has subtrees that partition its pixels")
        low = parents and hierarchy.level(parents[0]) <= level
        unit[node] = unit[parents[0]] if low else node
    tops = [unit[x] for x in hierarchy.observables]
    number = {top: i for i, top in enumerate(dict.fromkeys(tops))}
    if len(number) < 2:
        raise ValueError(f"level is {level}: all of {hierarchy!r} would be one unit; choose a lower one")
    return np.array([number[top] for top in tops])


def enumerate_probabilities(
    hierarchy: LatentHierarchy, law: MaskLaw, unit_of: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(P(z ∈ A), P(z ∈ c)) for every latent, float64 (latents,) each, by enumerating every mask.

    unit_of: the mask unit of each observable, int (observables,), numbered from 0; by default each is its own.
    Raises ValueError for more than 20 units.
    """
    unit_of, units = _units(hierarchy, law, unit_of)
    if units > _MOST_UNITS:
        raise ValueError(f"{units} units have too many masks to enumerate: {_MOST_UNITS} at most")
    masks = np.array(list(product([False, True], repeat=units)))
    weights = np.array([law.probability(masked, units - masked) for masked in range(units + 1)])[masks.sum(1)]
    batch = locate_shared_information_batch(hierarchy, masks[:, unit_of])
    return weights @ batch.split, weights @ batch.c


@dataclass(frozen=True)
class Estimate:
    """A Monte Carlo estimate of a probability for every latent, with its interval: float64 (latents,) each."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def monte_carlo(
    hierarchy: LatentHierarchy, law: MaskLaw, draws: int, seed: int, unit_of: np.ndarray | None = None, z: float = 1.96
) -> tuple[Estimate, Estimate]:
    """Estimates of (P(z ∈ A), P(z ∈ c)) from `draws` random masks; unit_of as in `enumerate_probabilities`.

    The interval is Wilson's (1927) of z standard deviations, 95% by default: reliable near 0, where most sinks lie.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}: at least one is needed")
    unit_of, units = _units(hierarchy, law, unit_of)
    masks = law.draw(np.random.default_rng(seed), draws, units)
    batch = locate_shared_information_batch(hierarchy, masks[:, unit_of])
    return _wilson(batch.split.mean(0), draws, z), _wilson(batch.c.mean(0), draws, z)


def _wilson(p: np.ndarray, draws: int, z: float) -> Estimate:
    shrink = 1 + z**2 / draws
    centre = (p + z**2 / (2 * draws)) / shrink
    half = z / shrink * np.sqrt(p * (1 - p) / draws + z**2 / (4 * draws**2))
    # Rounding would leave the end slightly inside where no draw, or every draw, hit.
    return Estimate(p, np.where(p == 0, 0, centre - half), np.where(p == 1, 1, centre + half))


def _units(hierarchy: LatentHierarchy, law: MaskLaw, unit_of: np.ndarray | None) -> tuple[np.ndarray, int]:
    count = len(hierarchy.observables)
    unit_of = np.arange(count) if unit_of is None else np.asarray(unit_of)
    units = int(unit_of.max(initial=-1)) + 1
    if unit_of.shape != (count,) or not np.array_equal(np.unique(unit_of), np.arange(units)):
        raise ValueError(f"unit_of {unit_of.shape} must give each of the {count} observables a unit numbered from 0")
    _check_fit(law, units)
    return unit_of, units


def _check_fit(law: MaskLaw, units: int) -> None:
    if isinstance(law, FixedCount) and law.total != units:
        raise ValueError(f"total is {law.total}: there are {units} units to choose from")
