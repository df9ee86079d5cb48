"""Random numbers that are a function of (seed, index), never of process state.

The numbers of image i, or of the mask of row j at step t, do not depend on the batch, the device or the workers.
A counter is hashed (splitmix64, Steele et al. 2014) in plain int64 arithmetic, so CPU and GPU agree to the last bit.
"""

import math
import zlib
from functools import lru_cache

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; torch shifts the sign bit in."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """The splitmix64 finaliser: a bijection of the 64-bit integers that scatters neighbours."""
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def bits(seed: int, indices: Tensor, stream: str, shape: tuple[int, ...] = ()) -> Tensor:
    """63 random bits for each index and position: int64 (len(indices), *shape), non-negative.

    `stream` names what the numbers are for ("pose", "mask"): two streams of one index are independent.
    """
    key = _mix(_mix(torch.tensor(seed, device=indices.device)) ^ zlib.crc32(stream.encode()))
    row = _mix(indices.to(torch.int64) * _GOLDEN + key)
    column = torch.arange(1, 1 + math.prod(shape), device=indices.device) * _GOLDEN
    return _shift(_mix(row[:, None] + column), 1).view(len(indices), *shape)


def uniform(seed: int, indices: Tensor, stream: str, shape: tuple[int, ...] = ()) -> Tensor:
    """float32 (len(indices), *shape) in [0, 1)."""
    return (bits(seed, indices, stream, shape) >> 39).float() / (1 << 24)


def integers(high: int, seed: int, indices: Tensor, stream: str, shape: tuple[int, ...] = ()) -> Tensor:
    """int64 (len(indices), *shape) in [0, high); the bias is below high / 2^63."""
    return bits(seed, indices, stream, shape) % high


def normal(seed: int, indices: Tensor, stream: str, shape: tuple[int, ...] = ()) -> Tensor:
    """Standard normal float32 (len(indices), *shape), by Box and Muller."""
    u = uniform(seed, indices, stream, (2, *shape))
    # 1 - u lies in (0, 1], so the logarithm is finite.
    return torch.sqrt(-2 * torch.log1p(-u[:, 0])) * torch.cos(2 * math.pi * u[:, 1])


def ranks(seed: int, indices: Tensor, stream: str, count: int) -> Tensor:
    """A uniformly random permutation of range(count) for each index: int64 (len(indices), count)."""
    return bits(seed, indices, stream, (count,)).argsort(dim=1, stable=True)


def shuffled(seed: int, visits: Tensor, count: int) -> Tensor:
    """Which of `count` items each visit, counted from 0, gets: int64 in [0, count), like `visits` (n,).

    Every pass over all of them is a new permutation.
    """
    turns = visits // count
    met = torch.empty_like(visits)
    for turn in turns.unique().tolist():
        met[turns == turn] = _order(seed, turn, count)[visits[turns == turn] % count]
    return met


@lru_cache(maxsize=8)  # a batch may span two passes; seeds may train together
def _order(seed: int, turn: int, count: int) -> Tensor:
    return ranks(seed, torch.tensor([turn]), "order", count)[0]
