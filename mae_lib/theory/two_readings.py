"""Theorem 2 as printed and as it is used: an autoencoder that meets Assumption 2 but keeps a private sign.

One process, x_m = (c, s_m) and x_mc = (c + s³, s) with c > 0 and |s| > 1/2 of either sign, all independent; and one
autoencoder. Its encoder is the first part of an invertible map, the decoder's Jacobian is nowhere singular, both
together are invertible, ŝ_m is independent of the visible side, the widths are right and the loss is 0. Yet ĉ = sign(s)
√c reveals the sign of s, of which x_m is independent. The missing condition is injectivity of the decoder, (ĉ², ŝ_m).
Appendix B has the proofs.
"""

import numpy as np


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(c, s_m, s) of `count` images: c and |s| uniform on (1/2, 2), the sign of s fair, s_m standard normal."""
    rng = np.random.default_rng(seed)
    c, size = rng.uniform(0.5, 2, (2, count))
    return c, rng.standard_normal(count), rng.choice((-1, 1), count) * size


def grow(c: np.ndarray, s_m: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(x_m, x_mc) from (c, s_m, s): (count, 2) each. s is s_mc."""
    return np.stack([c, s_m], axis=-1), np.stack([c + s**3, s], axis=-1)


def encode(x_mc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ĉ, ŝ_mc) of the visible side, (count,) each: inverts `visible_from_estimate`, continuous where |s| > 0."""
    s = x_mc[..., 1]
    c = x_mc[..., 0] - s**3
    return np.sign(s) * np.sqrt(c), np.abs(s)


def decode(c_hat: np.ndarray, s_m_hat: np.ndarray) -> np.ndarray:
    """D(ĉ, ŝ_m), the masked side, (count, 2); its Jacobian has the determinant 2 ĉ, which is not 0 where c > 0."""
    return np.stack([c_hat**2, s_m_hat], axis=-1)


def visible_from_estimate(c_hat: np.ndarray, s_hat: np.ndarray) -> np.ndarray:
    """The invertible map g̃ from (ĉ, ŝ_mc), ĉ ≠ 0 and ŝ_mc > 1/2, to the visible side: (count, 2)."""
    s = np.sign(c_hat) * s_hat
    return np.stack([c_hat**2 + s**3, s], axis=-1)
