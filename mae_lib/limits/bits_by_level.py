"""What each level of an image's tree tells of its hidden patches, as a table to draw beside what models score.

Nothing is trained or fitted. For figurines the tree is their own grammar, read perfectly; for any other world it is a
quadtree with one assumption a node: any two of its four children tell the node, a single one does not.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.grammars import code_grammar
from mae_lib.theory.information import mask_bits
from mae_lib.training.masks import Masks
from mae_lib.worlds.figurines import Figurines

_ROWS = 64  # masks that are looked at together


def figurine_tree(world: Figurines, patch: int) -> DiscreteTree:
    """Class, parts, corners and the patches that show them, as the world's own hierarchy has them; in Z-order.

    Each patch shows its corner's style and nothing else: no blur, no noise, no palette, no pose. Levels, lowest first:
    corner, part, class (part, class where a patch is a corner). Raises ValueError for a patch that is larger than a
    corner or does not divide it into a power of four.
    """
    side = world.size // 4 // patch if patch and world.size % (4 * patch) == 0 else 0
    if side < 1 or side & (side - 1):
        raise ValueError(f"patch is {patch}: the {world.size // 4} pixels of a corner must be it times a power of two")
    return code_grammar(world.classes, world.synonyms, copies=side**2)


def quadtree_code(grid: int) -> DiscreteTree:
    """A tree over grid x grid patches in Z-order in which any two of a node's four children tell the node.

    An assumption, for worlds whose tree is not known: four symbols, two synonyms of each at every level, eight kinds of
    root. Raises ValueError for a grid that is no power of two, 2 or more.
    """
    if grid < 2 or grid & (grid - 1):
        raise ValueError(f"grid is {grid}: a quadtree needs a power of two, 2 or more")
    return code_grammar(8, 2, (4,) * (grid.bit_length() - 1))


def z_order(grid: int) -> np.ndarray:
    """The patch, in raster order, at each place of Z-order: int64 (grid²,), grid a power of two.

    A tree's pixels come block by block, block within block; `masks[:, z_order(grid)]` brings masks into this order.
    """
    rows, columns = np.divmod(np.arange(grid**2), grid)
    bits = range(grid.bit_length() - 1)
    return np.argsort(sum((rows >> b & 1) << (2 * b + 1) | (columns >> b & 1) << (2 * b) for b in bits))


def bits_of_masks(
    tree: DiscreteTree, samplers: Mapping[tuple[float, int], Masks], draws: int = 256, seed: int = 0
) -> pd.DataFrame:
    """Bits of each level under the masks that models were trained with, (ratio, unit) -> sampler, as a tidy table.

    Of each mask the bits are exact; only the `draws` masks are drawn. Columns: ratio, unit, level (1 = lowest), bits
    (an image, over its hidden patches), share (of all bits gained; NaN where none is). Raises ValueError for masks
    that do not fit the tree.
    """
    grid, rows = int(len(tree.hierarchy.observables) ** 0.5), []
    for sampler in samplers.values():
        masks = sampler.sample(seed, 0, torch.arange(draws)).numpy()
        if masks.shape[1] != grid**2:
            raise ValueError(f"masks of {masks.shape[1]} patches do not fit a tree over {grid**2}")
        masks = masks[:, z_order(grid)]
        parts = [mask_bits(tree, masks[i : i + _ROWS]).by_level for i in range(0, draws, _ROWS)]
        rows.append(np.concatenate(parts).mean(0))
    return _tidy(*zip(*samplers), np.array(rows))


def _tidy(ratios: Sequence[float], units: Sequence[int], bits: np.ndarray) -> pd.DataFrame:
    total = bits.sum(1, keepdims=True)
    shares = np.divide(bits, total, out=np.full_like(bits, np.nan), where=total > 1e-12)
    columns = [
        pd.DataFrame({"ratio": ratios, "unit": units, "level": k + 1, "bits": bits[:, k], "share": shares[:, k]})
        for k in range(bits.shape[1])
    ]
    return pd.concat(columns, ignore_index=True)
