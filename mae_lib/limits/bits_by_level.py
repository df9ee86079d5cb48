"""Bits about hidden patches from each level of an image's tree, as a table to compare with models' scores.

Nothing is trained or fitted. For figurines the tree is their own grammar, read without error; for any other world it is
a quadtree with one assumption: any two of a node's four children determine it, a single one does not.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.grammars import code_grammar
from mae_lib.theory.information import expected_bits, mask_bits
from mae_lib.theory.mask_levels import FixedCount
from mae_lib.training.masks import Masks, MaskSampler
from mae_lib.worlds.figurines import Figurines

_ROWS = 64  # masks processed together


def figurine_tree(world: Figurines, patch: int) -> DiscreteTree:
    """Class, parts, corners and the patches that show them, as in the world's own hierarchy; in Z-order.

    Each patch shows its corner's style and nothing else: no blur, no noise, no palette, no pose. Levels, lowest first:
    corner, part, class (part, class where a patch is a corner). Raises ValueError for a patch that is larger than a
    corner or does not divide it into a power of four.
    """
    side = world.size // 4 // patch if patch and world.size % (4 * patch) == 0 else 0
    if side < 1 or side & (side - 1):
        raise ValueError(f"patch is {patch}: the {world.size // 4} pixels of a corner must be it times a power of two")
    return code_grammar(world.classes, world.synonyms, copies=side**2)


def quadtree_code(grid: int) -> DiscreteTree:
    """A tree over grid x grid patches in Z-order in which any two of a node's four children determine it.

    An assumption, for worlds whose tree is not known: four symbols, two synonyms of each at every level, eight kinds of
    root. Raises ValueError for a grid that is not a power of two, 2 or more.
    """
    if grid < 2 or grid & (grid - 1):
        raise ValueError(f"grid is {grid}: a quadtree needs a power of two, 2 or more")
    return code_grammar(8, 2, (4,) * (grid.bit_length() - 1))


def z_order(grid: int) -> np.ndarray:
    """The patch, in raster order, at each place of Z-order: int64 (grid²,), grid a power of two.

    A tree's pixels come block by nested block; `masks[:, z_order(grid)]` brings masks into this order.
    """
    rows, columns = np.divmod(np.arange(grid**2), grid)
    bits = range(grid.bit_length() - 1)
    return np.argsort(sum((rows >> b & 1) << (2 * b + 1) | (columns >> b & 1) << (2 * b) for b in bits))


def bits_of_masks(
    tree: DiscreteTree, samplers: Mapping[tuple[float, int], Masks], draws: int = 256, seed: int = 0
) -> pd.DataFrame:
    """Bits of each level under the masks that models were trained with, (ratio, unit) -> sampler, as a tidy table.

    Exact if all masks hide equally many whole units; else a mean over `draws` masks, exact for each. Columns: ratio,
    unit, level (1 = lowest), bits (per image, over its hidden patches), share (of all; `NaN` where none are). Raises
    ValueError for masks that do not fit the tree.
    """
    patches = len(tree.hierarchy.observables)
    for sampler in samplers.values():
        if sampler.patches != patches:
            raise ValueError(f"masks of {sampler.patches} patches do not fit a tree over {patches}")
    rows = [_exact(tree, one) if _whole_units(one) else _drawn(tree, one, draws, seed) for one in samplers.values()]
    return _tidy(*zip(*samplers), np.array(rows))


def _whole_units(sampler: Masks) -> bool:
    """Whether all masks hide equally many squares, blocks in Z-order, of a power of two patches a side."""
    if not isinstance(sampler, MaskSampler):
        return False
    side = sampler.unit // sampler.patch
    return side & (side - 1) == 0 and sampler.visible % side**2 == 0


def _exact(tree: DiscreteTree, sampler: MaskSampler) -> np.ndarray:
    block = (sampler.unit // sampler.patch) ** 2
    law = FixedCount(sampler.masked // block, sampler.patches // block)
    return expected_bits(tree, [law], np.arange(sampler.patches) // block).by_level[0]


def _drawn(tree: DiscreteTree, sampler: Masks, draws: int, seed: int) -> np.ndarray:
    masks = sampler.sample(seed, 0, torch.arange(draws)).numpy()[:, z_order(int(sampler.patches**0.5))]
    parts = [mask_bits(tree, masks[i : i + _ROWS]).by_level for i in range(0, draws, _ROWS)]
    return np.concatenate(parts).mean(0)


def _tidy(ratios: Sequence[float], units: Sequence[int], bits: np.ndarray) -> pd.DataFrame:
    total = bits.sum(1, keepdims=True)
    shares = np.divide(bits, total, out=np.full_like(bits, np.nan), where=total > 1e-12)
    columns = [
        pd.DataFrame({"ratio": ratios, "unit": units, "level": k + 1, "bits": bits[:, k], "share": shares[:, k]})
        for k in range(bits.shape[1])
    ]
    return pd.concat(columns, ignore_index=True)
