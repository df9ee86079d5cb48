"""The rules that decide a claim: small functions from measured values to findings.

Every ordering "a above b" is judged by the differences value(a) - value(b), paired, with a two-sided interval:

* over seeds, with Student's t, when there are two seeds or more (per-image values are averaged within a seed first);
* over images, with the bootstrap, when there is one seed; it does not cover what another seed would give;
* not at all for one seed without images: such an ordering can lean, never hold;
* of width zero for exact numbers: a table without `seed` and `image`, such as a closed form or the paper's own table.

An ordering holds when its interval lies above 0, leans when only its mean does, and fails otherwise; a tie fails. A
claim that needs several orderings needs each of them, so no correction for their number is due (an intersection-union
test). Only `peak_inside` chooses its point by looking, and pays for that with Bonferroni's correction.
"""

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from mae_lib.evaluation.intervals import Interval, bootstrap_interval, mean_interval

Outcome = Literal["holds", "leans", "fails"]
Basis = Literal["seeds", "images", "one seed", "exact"]
Point = Hashable


class MissingData(Exception):
    """What a rule needs has not been measured: the claim is not decided, and the message says what is missing."""


@dataclass(frozen=True)
class Finding:
    """One ordering, or one count of checks, that a rule asked for: what it says, how it came out, and its numbers."""

    what: str
    outcome: Outcome
    numbers: dict[str, float]


def basis_of(table: pd.DataFrame) -> Basis:
    """What the intervals of a tidy table can be taken over."""
    if "seed" in table and table["seed"].nunique() > 1:
        return "seeds"
    if "image" in table:
        return "images"
    return "one seed" if "seed" in table else "exact"


@dataclass(frozen=True)
class Measured:
    """The rows of one metric, and how sure to be: the series (its points), `value`, `seed` and `image` if any."""

    rows: pd.DataFrame
    series: str
    metric: str
    basis: Basis
    confidence: float
    replicates: pd.DataFrame = field(init=False)  # (seeds or images, points)

    def __post_init__(self) -> None:
        if self.series == "none":
            return
        keys = [name for name in (self.series, "seed", "image") if name in self.rows]
        if (twice := self.rows.duplicated(keys)).any():
            found = self.rows.loc[twice, keys].iloc[0].to_dict()
            raise ValueError(f"{self.metric} has two values at {found}: tell them apart by a `seed` or `image` column")
        # The same seed at two points shares its data order and first weights, the same image its content: pair them.
        unit = "image" if self.basis == "images" else "seed"
        rows = self.rows if unit in self.rows else self.rows.assign(seed=0)
        pivot = rows.pivot_table("value", index=unit, columns=self.series, aggfunc="mean", dropna=False)
        object.__setattr__(self, "replicates", pivot)

    def named(self, point: Point) -> Point:
        """A point of the series; `smallest`, `middle` and `largest` stand for those of the points measured."""
        measured = sorted(self.replicates.columns)
        if point in ("smallest", "middle", "largest"):
            if len(measured) < 3:
                raise MissingData(
                    f"{self.metric} was measured at {len(measured)} of the 3 {self.series}s that it takes"
                )
            return measured[{"smallest": 0, "middle": len(measured) // 2, "largest": -1}[point]]
        if point not in measured:
            raise MissingData(f"{self.metric} was not measured at {self.series} {point}")
        return point

    def chosen(self, points: list[Point] | Literal["all"]) -> list[Point]:
        """The points named, or `all` that were measured, in order; three at least."""
        if points != "all":
            return [self.named(point) for point in points]
        self.named("middle")
        return sorted(self.replicates.columns)

    def values(self, point: Point) -> pd.Series:
        """One value a seed or image at `point`; raises MissingData when one is not finite."""
        point = self.named(point)
        rows = self.rows.loc[self.rows[self.series] == point, "value"]
        if bad := int((~np.isfinite(rows)).sum()):
            raise MissingData(f"{self.metric} at {self.series} {point} has {bad} values that are not finite")
        return self.replicates[point].dropna()

    def interval(self, differences: pd.Series, confidence: float) -> Interval:
        """The mean with its interval, over whatever the replicates are."""
        mean = float(differences.mean())
        if self.basis == "exact":
            return Interval(mean, mean, mean, 1)
        return (bootstrap_interval if self.basis == "images" else mean_interval)(differences.to_numpy(), confidence)

    def above(self, high: Point, low: Point, confidence: float | None = None) -> Finding:
        """Whether the value at `high` exceeds the one at `low`."""
        high, low = self.named(high), self.named(low)
        differences = (self.values(high) - self.values(low)).dropna()
        if not len(differences):
            raise MissingData(f"{self.metric} at {self.series}s {high} and {low} shares no seed")
        interval = self.interval(differences, confidence or self.confidence)
        return _finding(f"{self.metric}: {self.series} {_said(high)} above {_said(low)}", interval)


def _outcome(margin: Interval) -> Outcome:
    return "holds" if margin.low > 0 else "leans" if margin.mean > 0 else "fails"


def _said(point: Point) -> Point:
    """A point in a sentence: one that is words stands in quotation marks."""
    return f"“{point}”" if isinstance(point, str) else point


def _finding(what: str, margin: Interval, least: float = 0.0) -> Finding:
    """A difference that must exceed `least`: by how much it does decides, and the numbers are the difference itself."""
    mean, low, high = (end + least for end in margin[:3])
    return Finding(what, _outcome(margin), {"difference": mean, "low": low, "high": high, "count": margin.count})


def increasing(measured: Measured, points: list[Point] | Literal["all"]) -> list[Finding]:
    """The value rises from each point to the next."""
    chosen = measured.chosen(points)
    return [measured.above(high, low) for low, high in zip(chosen, chosen[1:])]


def decreasing(measured: Measured, points: list[Point] | Literal["all"]) -> list[Finding]:
    """The value falls from each point to the next."""
    chosen = measured.chosen(points)
    return [measured.above(high, low) for high, low in zip(chosen, chosen[1:])]


def greater(measured: Measured, pairs: list[tuple[Point, Point]]) -> list[Finding]:
    """In each pair, the value at the first point exceeds the value at the second."""
    return [measured.above(high, low) for high, low in pairs]


def peak_at(measured: Measured, point: Point) -> list[Finding]:
    """The value at `point` exceeds the value at every other point measured."""
    peak = measured.named(point)
    return [measured.above(peak, other) for other in measured.chosen("all") if other != peak]


def peak_inside(measured: Measured, points: list[Point] | Literal["all"]) -> list[Finding]:
    """Some point between the extremes exceeds both: one finding, about the point that comes off best and its rival.

    The rival is the extreme nearer to it in value. With k points to choose from, each interval's error is divided by k.
    """
    first, *inside, last = measured.chosen(points)
    if not inside:
        raise MissingData(f"{measured.metric} was measured at no {measured.series} between {first} and {last}")
    strict = 1 - (1 - measured.confidence) / len(inside)
    worst = [
        min((measured.above(point, end, strict) for end in (first, last)), key=lambda f: f.numbers["difference"])
        for point in inside
    ]
    return [max(worst, key=lambda finding: (finding.outcome == "holds", finding.numbers["difference"]))]


def below(measured: Measured, points: list[Point] | Literal["all"], limit: float) -> list[Finding]:
    """The value stays under `limit` at each point."""
    chosen = measured.chosen(points)
    findings = []
    for p in chosen:
        margin = measured.interval(limit - measured.values(p), measured.confidence)
        value, high, low = (limit - end for end in margin[:3])
        numbers = {"value": value, "low": low, "high": high, "count": margin.count}
        what = f"{measured.metric}: {measured.series} {_said(p)} below {limit:g}"
        findings.append(Finding(what, _outcome(margin), numbers))
    return findings


def spread(measured: Measured, points: list[Point] | Literal["all"], least: float) -> list[Finding]:
    """The highest value exceeds the lowest by at least `least`: what the series varies has an effect worth the name.

    The two are chosen by looking, among k(k - 1) ordered pairs, so the interval's error is divided by their number.
    """
    chosen = measured.chosen(points)
    means = {point: measured.values(point).mean() for point in chosen}
    high, low = max(chosen, key=means.get), min(chosen, key=means.get)
    strict = 1 - (1 - measured.confidence) / (len(chosen) * (len(chosen) - 1))
    differences = (measured.values(high) - measured.values(low)).dropna() - least
    what = f"{measured.metric}: {measured.series} {_said(high)} above {_said(low)} by {least:g} or more"
    return [_finding(what, measured.interval(differences, strict), least)]


def nearer(measured: Measured, point: Point, near: Point, far: Point) -> list[Finding]:
    """The value at `point` lies nearer to the value at `near` than to the value at `far`.

    The difference is the one distance less the other, each between means, and its error that of a mean.
    """
    point, near, far = map(measured.named, (point, near, far))
    gaps = [measured.values(point) - measured.values(other) for other in (far, near)]
    to_far, to_near = (gap * np.sign(gap.mean()) for gap in gaps)
    if not len(differences := (to_far - to_near).dropna()):
        raise MissingData(f"{measured.metric} at {measured.series}s {point}, {near} and {far} shares no seed")
    what = f"{measured.metric}: {measured.series} {_said(point)} nearer to {_said(near)} than to {_said(far)}"
    return [_finding(what, measured.interval(differences, measured.confidence))]


def always(measured: Measured) -> list[Finding]:
    """Every trial of a check succeeded: one counter-example is enough to fail. Columns: `successes` and `trials`."""
    successes, trials = int(measured.rows["successes"].sum()), int(measured.rows["trials"].sum())
    if not trials:
        raise MissingData(f"{measured.metric}: nothing was tried")
    what = f"{measured.metric}: {successes:,} of {trials:,}"
    return [Finding(what, "holds" if successes == trials else "fails", {"successes": successes, "trials": trials})]


RULES: dict[str, Callable[..., list[Finding]]] = {
    rule.__name__: rule
    for rule in (increasing, decreasing, greater, nearer, peak_at, peak_inside, below, spread, always)
}


def check_rule(rule: dict[str, Any]) -> None:
    """Raises ValueError unless `rule` names a known kind and gives exactly what that kind needs."""
    kind = rule.get("kind") if isinstance(rule, dict) else None
    if kind not in RULES:
        raise ValueError(f"rule kind {kind!r} is unknown: choose one of {', '.join(RULES)}")
    needed = set(inspect.signature(RULES[kind]).parameters) - {"measured"}
    if given := set(rule) - {"kind"} ^ needed:
        raise ValueError(f"rule {kind!r} takes {sorted(needed) or 'nothing'}; missing or not known: {sorted(given)}")


def apply_rule(rule: dict[str, Any], measured: Measured) -> list[Finding]:
    """The findings of a rule, such as `{"kind": "greater", "pairs": [[0.75, 0.9]]}`; raises MissingData."""
    return RULES[rule["kind"]](measured, **{name: value for name, value in rule.items() if name != "kind"})
