"""The uncertainty of a mean: over seeds with Student's t, over images with the bootstrap, over both with two variances.

A handful of seeds is too few to resample (the percentile bootstrap of three values covers far less than its level), so
seeds get the t interval. Hundreds of images may be skewed, so images get the bootstrap. The two answer different
questions: an interval over the images of one run says nothing about what another seed would give. All seeds share their
test images, so an interval over seeds says nothing about other images; `crossed_error` covers both.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from mae_lib.metrics.names import EVERYWHERE

BOOTSTRAP_DRAWS = 2000
_AT_A_TIME = 2**22  # values that a bootstrap holds at once: its memory is bounded for any number of images


class Interval(NamedTuple):
    """A mean with its two-sided interval; `low` and `high` are `NaN` for a single value."""

    mean: float
    low: float
    high: float
    count: int


class Error(NamedTuple):
    """A mean, its standard error, and the degrees of freedom of Student's t for it."""

    mean: float
    error: float
    freedom: float


def _checked(values: ArrayLike, confidence: float) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"values have shape {array.shape}: give a flat list with at least one number")
    if bad := int((~np.isfinite(array)).sum()):
        raise ValueError(f"{bad} of {array.size} values are not finite: leave them out and say so, or mend their cause")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence!r} must lie between 0 and 1, for example 0.95")
    return array


def mean_interval(values: ArrayLike, confidence: float = 0.95, bounds: tuple[float, float] = EVERYWHERE) -> Interval:
    """Mean of independent values, one per seed, with Student's t interval.

    `bounds` are those of the score, such as (0, 1): the interval is clipped there, at no cost in coverage, since the
    mean cannot lie beyond. Raises ValueError for an empty or nested list, a value that is not finite, or a confidence
    outside of (0, 1).
    """
    array = _checked(values, confidence)
    mean, count = float(array.mean()), array.size
    if count == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1) * array.std(ddof=1) / np.sqrt(count))
    low, high = np.clip((mean - half, mean + half), *bounds)
    return Interval(mean, float(low), float(high), count)


def bootstrap_interval(values: ArrayLike, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean of per-image values with the percentile bootstrap interval (Efron 1979), 2,000 draws from a fixed seed.

    A mean of resampled values cannot leave the bounds of a score. Raises ValueError as `mean_interval` does.
    """
    array = _checked(values, confidence)
    mean, count = float(array.mean()), array.size
    if count == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    found = stats.bootstrap(
        (array,),
        np.mean,
        n_resamples=BOOTSTRAP_DRAWS,
        batch=max(1, _AT_A_TIME // count),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), count)


def crossed_error(values: np.ndarray) -> Error:
    """The standard error of the mean of values (seeds, images) over other seeds *and* images.

    Both are samples, and every seed saw every image: two random effects with their interaction. The variance of the
    mean is that of seeds plus that of images minus the interaction's, which is in both, from the mean squares of the
    two-way layout; the degrees of freedom are Satterthwaite's (1946). With one seed or image, only the other counts.
    """
    mean = float(values.sum() / values.size)
    if values.size == 1:
        return Error(mean, float("nan"), 0.0)
    variance, freedom = _crossed((values - mean)[None])
    return Error(mean, float(np.sqrt(variance)), freedom)


def pooled_error(grid: np.ndarray) -> Error:
    """The standard error of one point's mean in a grid (points, seeds, images), from the residuals of all.

    Residuals exclude the seed and image effects that all points share. The error of a contrast with weights w that sum
    to 0 is this times |w|, with the degrees of freedom of all points together: a randomised block design.
    It assumes equal spreads of points. `mean` is that of the grid.
    """
    points = len(grid)
    left = grid - grid.mean(0)
    left -= left.mean((1, 2), keepdims=True)
    variance, freedom = _crossed(left, points - 1)
    return Error(float(grid.mean()), float(np.sqrt(variance)), freedom)


def _crossed(left: np.ndarray, points: int = 1) -> tuple[float, float]:
    """Variance and degrees of freedom of a mean over seeds and images, from deviations (any, seeds, images)."""
    _, seeds, images = left.shape
    cells, degrees = seeds * images, ((seeds - 1) * points, (images - 1) * points)
    of_seeds = float((left.sum(2) ** 2).sum()) / images / max(degrees[0], 1)
    of_images = float((left.sum(1) ** 2).sum()) / seeds / max(degrees[1], 1)
    if seeds == 1 or images == 1:
        return (of_images / cells, float(degrees[1])) if seeds == 1 else (of_seeds / cells, float(degrees[0]))
    both = degrees[0] * (images - 1)
    rest = max(0.0, float((left**2).sum()) - of_seeds * degrees[0] - of_images * degrees[1]) / both
    # An estimate of either variance may fall below 0; the mean's is at least what either would yield by itself.
    variance = max(of_seeds + of_images - rest, of_seeds, of_images)
    if not variance:
        return 0.0, float(degrees[0])
    squares = of_seeds**2 / degrees[0] + of_images**2 / degrees[1] + rest**2 / both
    return variance / cells, variance**2 / squares
