"""How sure we are of a mean: over seeds with Student's t, over images with the bootstrap.

A handful of seeds is too few to resample (the percentile bootstrap of three values covers far less than it says), so
seeds get the t interval. Hundreds of images may be skewed, so images get the bootstrap. The two answer different
questions: an interval over the images of one run says nothing about what another seed would give.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

BOOTSTRAP_DRAWS = 2000


class Interval(NamedTuple):
    """A mean with its two-sided interval; `low` and `high` are NaN where one value alone gives none."""

    mean: float
    low: float
    high: float
    count: int


def _checked(values: ArrayLike, confidence: float) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"values have shape {array.shape}: give a flat list with at least one number")
    if bad := int((~np.isfinite(array)).sum()):
        raise ValueError(f"{bad} of {array.size} values are not finite: leave them out and say so, or mend their cause")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence!r} must lie between 0 and 1, for example 0.95")
    return array


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of independent values, one a seed, with Student's t interval.

    Raises ValueError for an empty or nested list, a value that is not finite, or a confidence outside of (0, 1).
    """
    array = _checked(values, confidence)
    mean, count = float(array.mean()), array.size
    if count == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1) * array.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half, count)


def bootstrap_interval(values: ArrayLike, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean of per-image values with the percentile bootstrap interval (Efron 1979), 2,000 draws from a fixed seed.

    Raises ValueError as `mean_interval` does.
    """
    array = _checked(values, confidence)
    mean, count = float(array.mean()), array.size
    if count == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    generator = np.random.default_rng(seed)
    rows = max(1, 2**22 // count)  # draws at a time: the memory stays bounded for any number of images
    sizes = [min(rows, BOOTSTRAP_DRAWS - start) for start in range(0, BOOTSTRAP_DRAWS, rows)]
    means = [array[generator.integers(count, size=(size, count))].mean(1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high), count)
