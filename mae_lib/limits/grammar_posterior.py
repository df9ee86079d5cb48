"""Exact beliefs about a figurine's class, parts and corners when only some corners are seen.

The grammar is a tree, class -> 4 parts -> synonyms -> 16 corners, so one pass up and one pass down it give the exact
posterior (belief propagation, Pearl 1988). Nothing is learned: these are the beliefs of an ideal observer of corners.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mae_lib.worlds.figurine_grammar import CLASSES, CORNERS, PARTS, STYLES, SYMBOLS, line, parts_of


@dataclass(frozen=True)
class Beliefs:
    """Posterior probabilities, float64: over classes, over the symbol of each part, over the style of each corner."""

    classes: Tensor  # (B, classes)
    parts: Tensor  # (B, 4, 4)
    corners: Tensor  # (B, 16, 4)


def posterior(corners: Tensor, seen: Tensor, classes: int = 12, synonyms: int = 2) -> Beliefs:
    """The beliefs given the corner styles int64 (B, 16), part by part, where bool `seen` (B, 16) is True.

    Classes and synonyms are uniform, as in `mae_lib.worlds.Figurines`; unseen entries of `corners` are ignored. Raises
    ValueError for other shapes or numbers of classes and synonyms, and for corners that no figurine shows.
    """
    _check(corners, seen, classes, synonyms)
    symbols = torch.arange(SYMBOLS, device=corners.device)
    words = line(symbols[:synonyms, None], symbols)  # (synonyms, symbols, 4): the corners that make a part
    spelled = parts_of(torch.arange(classes, device=corners.device), classes)  # (classes, 4)

    # Up: which (synonym, symbol) of each part agrees with the corners seen, then which class with the parts.
    shown, known = (values.unflatten(1, (PARTS, 1, 1, -1)) for values in (corners, seen))
    fits = ((shown == words) | ~known).all(-1).double()  # (B, 4, synonyms, symbols)
    of_symbol = fits.mean(2)  # (B, 4, symbols)
    of_class = of_symbol[:, torch.arange(PARTS), spelled].prod(-1)  # (B, classes)
    total = of_class.sum(1, keepdim=True)
    if not total.all():
        row = int((total[:, 0] == 0).nonzero()[0])
        raise ValueError(f"no figurine of {classes} classes shows the corners of row {row}: {corners[row].tolist()}")
    belief = of_class / total

    # Down: the symbol of each part, then its synonym, which depends on nothing outside the part, then its corners.
    parts = torch.einsum("bc,cks->bks", belief, one_hot(spelled, SYMBOLS).double())
    joint = parts[:, :, None] * fits / fits.sum(2, keepdim=True).clamp_min(1)
    styles = torch.einsum("bkas,asjt->bkjt", joint, one_hot(words, STYLES).double())
    return Beliefs(belief, parts, styles.flatten(1, 2))


def _check(corners: Tensor, seen: Tensor, classes: int, synonyms: int) -> None:
    if corners.ndim != 2 or corners.shape[1] != CORNERS:
        raise ValueError(f"corners have shape {tuple(corners.shape)}: give (images, {CORNERS})")
    if seen.dtype != torch.bool or seen.shape != corners.shape:
        raise ValueError(f"seen is {seen.dtype} {tuple(seen.shape)}: give bool {tuple(corners.shape)}, True = seen")
    if classes not in range(SYMBOLS, CLASSES + 1, SYMBOLS):
        raise ValueError(f"classes is {classes!r}: it must be 4, 8, 12 or 16")
    if synonyms not in range(1, SYMBOLS + 1):
        raise ValueError(f"synonyms is {synonyms!r}: it must be 1, 2, 3 or 4")
