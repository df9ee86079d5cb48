"""Theorem 2, read as printed and as it is used: an autoencoder that meets Assumption 2 and keeps a private sign.

One process, x_m = c and x_mc = (c + s³, s) with c > 0 and |s| > 1/2 of either sign, and one autoencoder: the encoder is
the first part of an invertible map, the decoder's derivative is nowhere zero, both together are invertible, the width
is right and the loss is 0. And ĉ = sign(s) √c tells the sign of s, which x_m knows nothing of. What is missing is that
the decoder, ĉ ↦ ĉ², is not injective. Appendix B has the proofs.
"""

import numpy as np


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(c, s) of `count` images, independent: c uniform on (1/2, 2), |s| uniform on (1/2, 2) with a fair sign."""
    c, size, side = np.random.default_rng(seed).random((3, count))
    return 0.5 + 1.5 * c, np.where(side < 0.5, -1, 1) * (0.5 + 1.5 * size)


def grow(c: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(x_m, x_mc) from (c, s): (count,) and (count, 2). s_m is empty, s_mc is s."""
    return c, np.stack([c + s**3, s], axis=-1)


def encode(x_mc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ĉ, ŝ_mc) of the visible side, (count,) each: inverts `visible_from_estimate`, continuous where |s| > 0."""
    s = x_mc[..., 1]
    c = x_mc[..., 0] - s**3
    return np.sign(s) * np.sqrt(c), np.abs(s)


def decode(c_hat: np.ndarray) -> np.ndarray:
    """D(ĉ) = ĉ², the masked side; its derivative 2 ĉ is not 0 where ĉ² > 0."""
    return c_hat**2


def visible_from_estimate(c_hat: np.ndarray, s_hat: np.ndarray) -> np.ndarray:
    """The invertible map g̃ from (ĉ, ŝ_mc), ĉ ≠ 0 and ŝ_mc > 1/2, to the visible side: (count, 2)."""
    s = np.sign(c_hat) * s_hat
    return np.stack([c_hat**2 + s**3, s], axis=-1)
