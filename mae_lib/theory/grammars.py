"""Hierarchies whose bits can be counted: the figurines' grammar and its relatives, and trees of noisy copies.

A code word lists the values of a line a + b x at the points x of GF(q): two of them determine the line, one does not. A
node's symbol is b, its synonym a is free, and the values are the symbols of its children. The figurines of
`mae_lib.worlds` are `code_grammar()`; with more levels it is a random hierarchy model (Cagnetta et al., 2024).
"""

from collections.abc import Sequence

import numpy as np

from mae_lib.theory.discrete_tree import DiscreteTree

_MODULI = {2: 0b11, 4: 0b111, 8: 0b1011}  # an irreducible polynomial of each field


def code_grammar(
    classes: int = 12,
    synonyms: int = 2,
    branching: Sequence[int] = (4, 4),
    copies: int = 1,
    noise: float = 0.0,
    symbols: int = 4,
) -> DiscreteTree:
    """Class, parts, and so on down to the corners: each step takes the first values of a line over GF(symbols).

    classes: symbols times the number of slopes in use, so 4, 8, 12 or 16 for the figurines.
    synonyms: per symbol, 1 to `symbols`; with all of them a single child is independent of its parent's symbol.
    branching: children of the class, of a part, ...; at most `symbols` each.
    copies: patches that each show a whole corner; above 1 they add a level.
    noise: probability that a patch shows a symbol other than its corner's, uniformly.
    Raises ValueError, naming the value, for one out of range.
    """
    _check_code(classes, synonyms, branching, copies, noise, symbols)
    spread = np.full((symbols, symbols), noise / (symbols - 1))
    np.fill_diagonal(spread, 1 - noise)
    bare = np.eye(symbols)
    slopes = classes // symbols
    # Which line each state is: (intercept, slope) of a class, (synonym, symbol) of a part.
    states = [np.divmod(np.arange(classes), slopes), np.divmod(np.arange(symbols * synonyms), symbols)]
    with_synonym = np.tile(bare, (1, synonyms)) / synonyms  # (symbols, synonyms x symbols)
    last = spread if copies == 1 else bare
    tables = []
    for depth, children in enumerate(branching):
        intercept, slope = states[min(depth, 1)]
        words = _lines(intercept, slope, symbols)[:, :children]  # (states, children)
        below = last if depth == len(branching) - 1 else with_synonym
        tables.append(below[words].swapaxes(0, 1))
    if copies > 1:
        branching, tables = (*branching, copies), [*tables, spread]
    return DiscreteTree.regular(branching, np.full(classes, 1 / classes), tables)


def noisy_copies(branching: Sequence[int], states: int, noise: Sequence[float]) -> DiscreteTree:
    """Each node copies its parent's state, or with probability `noise[depth]`, root first, takes any other.

    A tree with no grammar: a subtree's common content is its majority state (broadcasting on trees).
    Raises ValueError for fewer than two states, or a noise outside of [0, 1].
    """
    if states < 2:
        raise ValueError(f"states is {states}: two at least are needed")
    if len(noise) != len(branching) or not all(0 <= p <= 1 for p in noise):
        raise ValueError(f"noise is {noise!r}: give {len(branching)} probabilities, one a depth")
    tables = [np.where(np.eye(states, dtype=bool), 1 - p, p / (states - 1)) for p in noise]
    return DiscreteTree.regular(branching, np.full(states, 1 / states), tables)


def _lines(intercept: np.ndarray, slope: np.ndarray, q: int) -> np.ndarray:
    """a + b x over GF(q) at every x: int (lines, q)."""
    return intercept[:, None] ^ _times(q)[slope]


def _times(q: int) -> np.ndarray:
    """The product of GF(q), q a power of two: int (q, q). Its sum is xor."""
    a, b = np.indices((q, q))
    product = np.zeros((q, q), dtype=int)
    for bit in range(q.bit_length() - 1):
        product ^= np.where(b >> bit & 1, a, 0)
        a = a << 1
        a = np.where(a & q, a ^ _MODULI[q], a)
    return product


def _check_code(classes: int, synonyms: int, branching: Sequence[int], copies: int, noise: float, symbols: int) -> None:
    if symbols not in _MODULI:
        raise ValueError(f"symbols is {symbols!r}: it must be 2, 4 or 8")
    if classes not in range(symbols, symbols**2 + 1, symbols):
        raise ValueError(f"classes is {classes!r}: it must be a multiple of {symbols}, up to {symbols**2}")
    if synonyms not in range(1, symbols + 1):
        raise ValueError(f"synonyms is {synonyms!r}: it must lie between 1 and {symbols}")
    if not branching or not all(1 <= b <= symbols for b in branching):
        raise ValueError(f"branching is {branching!r}: one number of children a level, each 1 to {symbols}")
    if copies < 1:
        raise ValueError(f"copies is {copies!r}: it must be 1 or more")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is {noise!r}: it must lie in [0, 1]")
