"""Theorem 1, constructive: which latents `c` the masked and the visible part of an image share.

The paper keeps Algorithms 1 and 2 in an appendix; these are reconstructed from the theorem's own three conditions. They
determine `c` and `s_m`: the sets that meet conditions 1 and 2 are those between `c` and A (`split` below), and
condition 3 requires the smallest. Many `s_mc` remain; Algorithm 2 returns the one independent of `c`.
For a batch, 64 masks share one machine word per node, and both algorithms become three sweeps up the graph.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mae_lib.theory.graph_checks import Node, names_in
from mae_lib.theory.hierarchy import LatentHierarchy
from mae_lib.theory.later import Later

if TYPE_CHECKING:
    import numpy as np
else:
    np = Later("numpy")


@dataclass(frozen=True)
class SharedInformation:
    """What Theorem 1 locates for one mask.

    `c`: the minimal set of latents that `x_m` and `x_mc` share.
    `s_m`, `s_mc`: nodes (latents and observables) whose exogenous noise makes up these parts.
    `split`: A = An[M] ∩ An[N], the latents with a masked and a visible observable below them; An[c] = A.
    """

    c: frozenset[Node]
    s_m: frozenset[Node]
    s_mc: frozenset[Node]
    split: frozenset[Node]


def algorithm_1(hierarchy: LatentHierarchy, masked: frozenset, visible: frozenset) -> tuple[frozenset, frozenset]:
    """`(c, s_m)`: the lowest latents that the mask splits, and the noises that only the masked part contains."""
    split = hierarchy.ancestors(masked) & hierarchy.ancestors(visible)
    c = frozenset(z for z in split if split.isdisjoint(hierarchy.children(z)))
    s_m = hierarchy.ancestors(masked) - split
    return c, s_m


def algorithm_2(hierarchy: LatentHierarchy, masked: frozenset, visible: frozenset) -> frozenset:
    """`s_mc`: the noises that only the visible part contains, one valid choice among others."""
    split = hierarchy.ancestors(masked) & hierarchy.ancestors(visible)
    s_mc = hierarchy.ancestors(visible) - split
    return s_mc


def locate_shared_information(hierarchy: LatentHierarchy, masked: Iterable[Node]) -> SharedInformation:
    """`c`, `s_m` and `s_mc` of Theorem 1 when the observables `masked` are hidden and all others are visible.

    With nothing or everything masked, nothing is shared: `c` is empty.
    Raises ValueError for a latent or unknown name, suggesting valid ones, and for booleans.
    """
    masked = _checked_names(hierarchy, masked)
    visible = frozenset(hierarchy.observables) - masked
    c, s_m = algorithm_1(hierarchy, masked, visible)
    s_mc = algorithm_2(hierarchy, masked, visible)
    return SharedInformation(c, s_m, s_mc, split=hierarchy.ancestors(c))  # An[c] = A


@dataclass(frozen=True, eq=False)
class SharedInformationBatch:
    """Theorem 1 for many masks: one `SharedInformation` per row, `len(batch)` rows.

    The words are the native result, uint64 (blocks, nodes): bit k of block b belongs to mask 64 b + k, and columns are
    in the order of `hierarchy.nodes`. The boolean arrays are unpacked on access.
    """

    hierarchy: LatentHierarchy
    count: int
    c_words: np.ndarray
    s_m_words: np.ndarray
    s_mc_words: np.ndarray
    split_words: np.ndarray

    @property
    def c(self) -> np.ndarray:
        """bool (masks, latents), columns in the order of `hierarchy.latents`."""
        return _unpack(self.c_words[:, : self.hierarchy.latent_count], self.count)

    @property
    def split(self) -> np.ndarray:
        """A: bool (masks, latents), columns in the order of `hierarchy.latents`."""
        return _unpack(self.split_words[:, : self.hierarchy.latent_count], self.count)

    @property
    def s_m(self) -> np.ndarray:
        """bool (masks, nodes), columns in the order of `hierarchy.nodes`."""
        return _unpack(self.s_m_words, self.count)

    @property
    def s_mc(self) -> np.ndarray:
        """bool (masks, nodes), columns in the order of `hierarchy.nodes`."""
        return _unpack(self.s_mc_words, self.count)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> SharedInformation:
        """The sets of mask number `row`, as names; IndexError past the ends."""
        block, bit = divmod(range(self.count)[row], 64)
        words = (self.c_words, self.s_m_words, self.s_mc_words, self.split_words)
        return SharedInformation(*(self._named(word[block] >> np.uint64(bit)) for word in words))

    def _named(self, words: np.ndarray) -> frozenset[Node]:
        return frozenset(self.hierarchy.nodes[i] for i in np.flatnonzero(words & np.uint64(1)))


def locate_shared_information_batch(hierarchy: LatentHierarchy, masks: np.ndarray) -> SharedInformationBatch:
    """`locate_shared_information` for every row of masks: bool (masks, observables), True = masked.

    Columns are in the order of `hierarchy.observables`. Raises ValueError for another shape or dtype.
    """
    masks, observables = np.asarray(masks), len(hierarchy.node_levels) - hierarchy.latent_count
    if masks.dtype != bool or masks.ndim != 2 or masks.shape[1] != observables:
        raise ValueError(f"masks is {masks.dtype} {masks.shape}: it must be bool (masks, {observables}), True = masked")
    blocks = range(0, len(masks), 64)
    words = np.empty((4, len(blocks), len(hierarchy.node_levels)), dtype="<u8")
    for block, start in enumerate(blocks):
        _locate_block(hierarchy, masks[start : start + 64], words[:, block])
    return SharedInformationBatch(hierarchy, len(masks), *words)


def _locate_block(hierarchy: LatentHierarchy, masks: np.ndarray, out: np.ndarray) -> None:
    """Both algorithms for up to 64 masks, bit by bit; out: words (4, nodes) for c, s_m, s_mc and A."""
    c, s_m, s_mc, split = out
    s_m[:] = s_mc[:] = 0
    pixels = slice(hierarchy.latent_count, None)
    s_m[pixels] = _pack(masks)
    s_mc[pixels] = s_m[pixels] ^ np.uint64((1 << len(masks)) - 1)
    hierarchy.or_descendants(s_m)  # An[M]
    hierarchy.or_descendants(s_mc)  # An[N]
    np.bitwise_and(s_m, s_mc, out=split)
    np.bitwise_and(split, ~hierarchy.or_children(split), out=c)
    s_m ^= split
    s_mc ^= split


def _pack(masks: np.ndarray) -> np.ndarray:
    """bool (up to 64, columns) to words (columns,): bit k from row k. Eight rows per byte first: fits the cache."""
    octets = np.zeros((masks.shape[1], 8), dtype=np.uint8)
    for byte, start in enumerate(range(0, len(masks), 8)):
        bits = np.zeros(masks.shape[1], dtype=np.uint8)
        for row in masks[start : start + 8].view(np.uint8)[::-1]:
            bits += bits  # shift left
            bits |= row
        octets[:, byte] = bits
    return octets.view("<u8")[:, 0]


def _unpack(words: np.ndarray, count: int) -> np.ndarray:
    """Words (blocks, columns) to bool (count, columns)."""
    octets = np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, 8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")  # (blocks, columns, 64)
    return bits.swapaxes(1, 2).reshape(64 * len(words), words.shape[1])[:count].astype(bool)


def _checked_names(hierarchy: LatentHierarchy, masked: Iterable[Node]) -> frozenset[Node]:
    if isinstance(masked, str):
        raise ValueError(f"masked is the string {masked!r}: it must be an iterable of names, such as [{masked!r}]")
    masked, observables = names_in(masked, "masked"), frozenset(hierarchy.observables)
    for node in masked:
        if node in observables:
            continue
        if node in hierarchy.nodes:
            below = ", ".join(map(repr, islice(hierarchy.descendant_observables(node), 8)))
            raise ValueError(f"{node!r} is latent: only observables can be masked; below it lie {below or 'none'}")
        names = {str(name): name for name in islice(hierarchy.observables, 10_000)}
        near = difflib.get_close_matches(str(node), names, n=1, cutoff=0)
        raise ValueError(f"{node!r} is not an observable of {hierarchy!r}: the nearest is {names[near[0]]!r}")
    return frozenset(masked)
