"""The grammar of the figurines: class -> 4 parts -> 16 corners, each step a maximum-distance-separable code over GF(4).

A code word lists the values of a line a + b x at the four points x of GF(4). Two lines meet in one point at most, so
any two of the four values determine the line and a single one does not:

* class (a, b) -> parts: any two parts determine the class; a single part leaves 4 of 16 classes, 2 of 8.
* part b, synonym a -> corners: any two corners determine the part; with 4 synonyms a single corner is uninformative.
"""

import torch
from torch import Tensor

CLASSES, PARTS, SYMBOLS, STYLES, CORNERS = 16, 4, 4, 4, 16
STYLE_NAMES = ("square", "round", "cut", "hollow")

_TIMES = torch.tensor([[0, 0, 0, 0], [0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]])  # the product of GF(4); its sum is xor


def line(a: Tensor, b: Tensor) -> Tensor:
    """The values of a + b x at x = 0, 1, 2, 3 in GF(4): int64 (..., 4) in [0, 4), for a and b of shape (...)."""
    return a[..., None] ^ _TIMES.to(b.device)[b]


def parts_of(labels: Tensor, classes: int = CLASSES) -> Tensor:
    """The part symbols, in raster order, that make a class: int64 (B, 4) in [0, 4), for labels (B,) in [0, classes).

    `classes` is 4, 8, 12 or 16: how many slopes b are in use decides how informative one part is about another.
    """
    slopes = classes // SYMBOLS
    return line(labels // slopes, labels % slopes)


def corners_of(parts: Tensor, synonyms: Tensor) -> Tensor:
    """The corner styles, part by part, each in raster order: int64 (B, 16) in [0, 4), for parts and synonyms (B, 4)."""
    return line(synonyms, parts).flatten(1)
