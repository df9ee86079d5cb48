"""How sure an ordering is: measurements of one metric, their differences with errors, and Holm's correction.

A contrast is a weighted sum of the means at some points, such as `value(a) - value(b)`, taken seed by seed and image by
image before anything is averaged: runs with the same seed share data order and initial weights, and the same image its
content. What its error covers depends on the table:

* seeds and images: the two-way model of `mae_lib.metrics.intervals.crossed_error`, with both redrawn;
* seeds only, all that published means contain: Student's t over seeds. For scores that count right answers the numbers
  of images add a binomial part, as if each mask were tested on its own images, which overstates the error for shared
  images; for other scores the images' part is left out, and the verdict says so;
* one seed: over images, or none. It does not cover variation between seeds, so the ordering can lean but never hold;
* none, for exact numbers: a table without `seed` and `image`, such as a closed form or the paper's own table.

From three points on, the error of a difference is at least the pooled error of all points of the series, with the
pooled degrees of freedom: three seeds leave only two for a pair, with which almost nothing differs from chance. Where
the points' spreads differ, the larger of the two errors is used.

Orderings of one claim are tested together, two-sided, with Holm's correction (1979): under noise alone the chance that
any of them holds or is reversed is at most 1 - confidence. Every interval is widened to the level at which its own
ordering was tested, so it lies above 0 exactly when the ordering holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from mae_lib.metrics.intervals import Error, crossed_error, pooled_error
from mae_lib.metrics.names import EVERYWHERE, bounds, is_hits

Outcome = Literal["holds", "reversed", "leans", "leans against", "tie", "no test"]
Basis = Literal["seeds and images", "seeds", "images", "one seed", "exact"]
Point = Any  # a ratio, a unit, or the name of an encoder
POWER = 0.8  # for the smallest detectable difference


class MissingData(Exception):
    """A rule's data have not been measured: the claim is not decided, and the message says what is missing."""


@dataclass(frozen=True)
class Finding:
    """One ordering, or one count of checks, required by a rule: its statement, its outcome and its numbers.

    For an ordering: the `difference` (or `value`) with `low` and `high`, `p` after Holm's correction, `seen`, the
    smallest difference that would be detected in four of five cases, and the `count` of seeds or images.
    """

    what: str
    outcome: Outcome
    numbers: dict[str, float]


@dataclass(frozen=True)
class Ordering:
    """A margin that must exceed 0, with its error, before any correction for the number of orderings.

    `p` is two-sided and multiplied by `choices` to correct for a choice made after seeing the data. The number shown is
    `offset + scale * margin`, within `within`.
    """

    what: str
    margin: float
    error: float = 0.0
    freedom: float = 0.0
    count: int = 1
    choices: float = 1.0
    offset: float = 0.0
    scale: int = 1
    name: str = "difference"
    within: tuple[float, float] = EVERYWHERE
    given: Mapping[str, float] | None = None  # the numbers of a count of checks
    counted: float | None = None  # and its two-sided p

    @cached_property
    def above(self) -> float:
        """One-sided p of a margin this far above 0, without `choices`; 1 for a single value."""
        return _tail(self.margin, self.error, self.freedom)

    @cached_property
    def under(self) -> float:
        """The same for a margin this far below."""
        return _tail(-self.margin, self.error, self.freedom)

    @property
    def p(self) -> float:
        if self.counted is not None:
            return self.counted
        return min(1.0, 2 * self.choices * min(self.above, self.under))


def _tail(margin: float, error: float, freedom: float) -> float:
    if np.isnan(error):
        return 1.0
    if error == 0:
        return 0.0 if margin > 0 else 1.0
    return float(stdtr(freedom, -margin / error))


def holm(orderings: Sequence[Ordering], confidence: float, cap: bool = False) -> list[Finding]:
    """Each ordering as a finding, corrected for their number; with `cap`, as for one seed, it can at most lean."""
    ranked = sorted(range(len(orderings)), key=lambda k: orderings[k].p)
    findings: list[Finding | None] = [None] * len(orderings)
    corrected = 0.0
    for rank, k in enumerate(ranked):
        own, number = orderings[k].p, len(orderings) - rank
        corrected = max(corrected, number * own)
        level = max(number, corrected / own if own else number)  # the factor that multiplied its p
        findings[k] = _found(orderings[k], min(1.0, corrected), level, confidence, cap)
    return findings


def _found(one: Ordering, p: float, level: float, confidence: float, cap: bool) -> Finding:
    sure = p <= 1 - confidence and not cap
    if one.margin > 0:
        outcome = "holds" if sure else "leans"
    else:
        outcome = "tie" if one.margin == 0 else "reversed" if sure else "leans against"
    if one.given is not None:
        return Finding(one.what, outcome, dict(one.given))
    low, high, seen = one.margin, one.margin, 0.0
    if np.isnan(one.error):
        low = high = seen = float("nan")
    elif one.error:
        quantile = -float(stdtrit(one.freedom, (1 - confidence) / 2 / one.choices / level))
        low, high = one.margin - quantile * one.error, one.margin + quantile * one.error
        seen = (quantile + float(stdtrit(one.freedom, POWER))) * one.error
    shown = sorted(one.offset + one.scale * end for end in (low, high)) if low == low else [low, high]
    low, high = np.clip(shown, *one.within)
    middle = one.offset + one.scale * one.margin
    numbers = {one.name: middle, "low": float(low), "high": float(high), "p": p, "seen": seen, "count": one.count}
    return Finding(one.what, outcome, numbers)


def basis_of(table: pd.DataFrame) -> Basis:
    """What the intervals of a tidy table can be computed over."""
    if "seed" in table and table["seed"].nunique() > 1:
        return "seeds and images" if "image" in table and table["image"].nunique() > 1 else "seeds"
    if "image" in table:
        return "images"
    return "one seed" if "seed" in table else "exact"


@dataclass(frozen=True)
class Measured:
    """One metric at the points of a series: `grid` (points, seeds, images), `NaN` where a seed or image is missing.

    `counts` are the numbers of images behind means (points,), where only means are known.
    """

    grid: np.ndarray
    points: tuple[Point, ...]
    series: str
    metric: str
    basis: Basis
    broken: Mapping[Point, int] = field(default_factory=dict)  # values that are not finite, by point
    counts: np.ndarray | None = None
    checks: tuple[int, int] | None = None  # successes and trials

    @classmethod
    def from_table(cls, rows: pd.DataFrame, series: str, metric: str, basis: Basis | None = None) -> "Measured":
        """From the tidy rows of one metric; ValueError for two values of one measurement."""
        basis = basis_of(rows) if basis is None else basis
        if series == "none":
            checks = int(rows["successes"].sum()), int(rows["trials"].sum())
            return cls(np.empty((0, 0, 0)), (), series, metric, basis, checks=checks)
        keys = [name for name in (series, "seed", "image") if name in rows]
        if (twice := rows.duplicated(keys)).any():
            found = rows.loc[twice, keys].iloc[0].to_dict()
            raise ValueError(f"{metric} has two values at {found}: tell them apart by a `seed` or `image` column")
        places, points = pd.factorize(rows[series], sort=True)
        seeds, images = ((pd.factorize(rows[name])[0] if name in rows else places * 0) for name in ("seed", "image"))
        values = rows["value"].to_numpy(float)
        grid = np.full((len(points), seeds.max() + 1, images.max() + 1), np.nan)
        grid[places, seeds, images] = values
        bad = rows.loc[~np.isfinite(values), series].value_counts().to_dict()
        counts = rows.groupby(series)["count"].min().to_numpy() if "count" in rows and "image" not in rows else None
        return cls(grid, tuple(points), series, metric, basis, bad, counts)

    def named(self, point: Point) -> Point:
        """A point of the series; `smallest`, `middle` and `largest` refer to the points measured."""
        if isinstance(point, str) and point in ("smallest", "middle", "largest"):
            if len(self.points) < 3:
                found = f"{len(self.points)} of the 3 {self.series}s that it takes"
                raise MissingData(f"{self.metric} was measured at {found}")
            return self.points[{"smallest": 0, "middle": len(self.points) // 2, "largest": -1}[point]]
        if point not in self.points:
            raise MissingData(f"“{self.metric}” was not measured at {self.series} {point}")
        return point

    def chosen(self, points: Sequence[Point] | Literal["all"]) -> list[Point]:
        """The points named, or `all` that were measured, in order; at least three."""
        if points != "all":
            return [self.named(point) for point in points]
        self.named("middle")
        return list(self.points)

    def mean(self, point: Point) -> float:
        """The mean at a point; raises MissingData where a value is not finite."""
        return self.contrast({point: 1}).mean

    def contrast(self, weights: Mapping[Point, float]) -> Error:
        """The weighted sum of the means at some points, over the seeds and images that they share."""
        points = [self.named(point) for point in weights]
        for point in points:
            if bad := self.broken.get(point):
                raise MissingData(f"{self.metric} at {self.series} {point} has {bad} values that are not finite")
        at = [self.points.index(point) for point in points]
        weight = np.fromiter(weights.values(), float)
        sums = (weight @ self.grid[at].reshape(len(at), -1)).reshape(self.grid.shape[1:])  # (seeds, images)
        if not self.whole:
            sums = sums[~np.isnan(sums).all(1)]
            sums = sums[:, ~np.isnan(sums).any(0)]
        if not sums.size:
            raise MissingData(f"{self.metric} at {self.series}s {_listed(points)} shares no seed")
        if self.basis == "exact":
            return Error(float(sums.mean()), 0.0, 0.0)
        found = crossed_error(sums)
        if (pooled := self.pooled) and abs(weight.sum()) < 1e-9 * abs(weight).sum():
            shared = pooled.error * float(np.sqrt(weight @ weight))
            found = Error(found.mean, max(found.error, shared), pooled.freedom)
        return self._with_images(found, at, weight)

    @cached_property
    def whole(self) -> bool:
        """Whether every seed and image was measured at every point."""
        return not np.isnan(self.grid).any()

    @cached_property
    def pooled(self) -> Error | None:
        """The pooled error of all points; None for fewer than three, a gap, or nothing to compute it over."""
        if len(self.points) < 3 or self.basis not in ("seeds", "seeds and images") or not self.whole:
            return None
        return pooled_error(self.grid)

    def _with_images(self, found: Error, at: list[int], weight: np.ndarray) -> Error:
        """The error with the binomial part for means of right answers, which covers other images."""
        if self.counts is None or not is_hits(self.metric) or not found.error > 0:
            return found
        share = np.clip(np.nanmean(self.grid[at], axis=(1, 2)), 0, 1)
        extra = float((weight**2 * share * (1 - share) / self.counts[at]).sum())
        whole = found.error**2 + extra
        return Error(found.mean, whole**0.5, found.freedom * (whole / found.error**2) ** 2)

    def above(self, high: Point, low: Point) -> Ordering:
        """That the value at `high` exceeds the one at `low`."""
        high, low = self.named(high), self.named(low)
        what = f"{self.metric}: {self.series} {said(high)} above {said(low)}"
        return self.ordering(what, {high: 1.0, low: -1.0})

    def ordering(self, what: str, weights: Mapping[Point, float], least: float = 0.0) -> Ordering:
        """That a contrast exceeds `least`; the number shown is the contrast."""
        found = self.contrast(weights)
        low, high = bounds(self.metric)
        return Ordering(
            what,
            found.mean - least,
            found.error,
            found.freedom,
            self.count,
            offset=least,
            within=(low - high, high - low),
        )

    def value(self, point: Point, limit: float, side: Literal["above", "below"]) -> Ordering:
        """That the value at a point lies above, or below, a limit; the number shown is the value."""
        point, sign = self.named(point), 1 if side == "above" else -1
        found = self.contrast({point: 1.0})
        what = f"{self.metric}: {self.series} {said(point)} {side} {limit:g}"
        margin = sign * (found.mean - limit)
        return Ordering(
            what,
            margin,
            found.error,
            found.freedom,
            self.count,
            offset=limit,
            scale=sign,
            name="value",
            within=bounds(self.metric),
        )

    @property
    def count(self) -> int:
        """The number of seeds, or of images if there is one seed."""
        return self.grid.shape[2] if self.basis == "images" else self.grid.shape[1]


def said(point: Point) -> Point:
    """A point for use in a sentence: words in quotation marks, large numbers with grouped digits."""
    if isinstance(point, str):
        return f"“{point}”"
    return f"{point:,}" if point >= 10_000 else point


def _listed(points: Sequence[Point]) -> str:
    *first, last = map(str, points)
    return f"{', '.join(first)} and {last}" if first else last
