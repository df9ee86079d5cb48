"""The rules that decide a claim: small functions from one metric's measurements to the orderings that a claim needs.

`mae_lib.claims.orderings` defines orderings, their errors and their correction for multiplicity. A rule requires *all*
the orderings of its sentence. Where its sentence says "some" (`peak_inside`, `spread`), it reduces them to one: the
choice that best supports the sentence, corrected for having been chosen (Bonferroni). The sentence is reversed only if
its opposite, which is about *every* choice, is certain.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from scipy.stats import binomtest

from mae_lib.claims.orderings import Measured, MissingData, Ordering, Point, said

Points = list[Point] | Literal["all"]


def increasing(measured: Measured, points: Points) -> list[Ordering]:
    """The value rises from each point to the next."""
    chosen = measured.chosen(points)
    return [measured.above(high, low) for low, high in zip(chosen, chosen[1:])]


def decreasing(measured: Measured, points: Points) -> list[Ordering]:
    """The value falls from each point to the next."""
    chosen = measured.chosen(points)
    return [measured.above(high, low) for high, low in zip(chosen, chosen[1:])]


def trend(measured: Measured, points: Points, direction: Literal["up", "down"]) -> list[Ordering]:
    """The value tends to rise, or fall: the slope of a straight line over the ordered points, in units per step."""
    chosen = measured.chosen(points)
    steps = np.arange(len(chosen)) - (len(chosen) - 1) / 2
    sign = 1 if direction == "up" else -1
    what = f"{measured.metric}: {direction} from {measured.series} {said(chosen[0])} to {said(chosen[-1])}, a step"
    return [measured.ordering(what, dict(zip(chosen, sign * steps / (steps**2).sum())))]


def greater(measured: Measured, pairs: list[tuple[Point, Point]]) -> list[Ordering]:
    """In each pair, the value at the first point exceeds the value at the second."""
    return [measured.above(high, low) for high, low in pairs]


def peak_at(measured: Measured, point: Point) -> list[Ordering]:
    """The value at `point` exceeds the value at every other point measured."""
    peak = measured.named(point)
    return [measured.above(peak, other) for other in measured.chosen("all") if other != peak]


def peak_inside(measured: Measured, points: Points) -> list[Ordering]:
    """Some point between the extremes exceeds *both*; reversed if every point between them is below one of them.

    The ordering compares the best point with the extreme that it exceeds less surely, so if its interval lies above 0,
    so does that for the other extreme.
    """
    first, *inside, last = measured.chosen(points)
    if not inside:
        raise MissingData(f"{measured.metric} was measured at no {measured.series} between {first} and {last}")
    tried = []
    for point in inside:
        ends = {end: measured.above(point, end) for end in (first, last)}
        end, rival = max(ends.items(), key=lambda pair: (pair[1].above, -pair[1].margin))
        what = f"{measured.metric}: {measured.series} {said(point)} above both {said(first)} and {said(last)}"
        tried.append(replace(rival, what=f"{what}, less surely above {said(end)}"))
    return [_some(tried, len(inside), 2)]  # a point need only be below one of two extremes, hence 2


def spread(measured: Measured, points: Points, least: float) -> list[Ordering]:
    """Some value exceeds another by at least `least`; reversed if no two differ by that much."""
    chosen = measured.chosen(points)
    what = f"{measured.metric}: a difference of {least:g} or more by {measured.series}"
    tried = [
        measured.ordering(
            f"{what} (closest to it: {said(high)} above {said(low)})",
            {high: 1.0, low: -1.0},
            least,
        )
        for high in chosen
        for low in chosen
        if high != low
    ]
    return [_some(tried, len(tried), 1)]


def _some(tried: Sequence[Ordering], choices: int, against: int) -> Ordering:
    """That one of several orderings is true: the surest, corrected for having been chosen after seeing the data.

    If even that one lies below 0, all do, and none was chosen: then the correction is only for `against`.
    """
    best = min(tried, key=lambda one: (one.above, -one.margin))
    return replace(best, choices=choices if best.margin > 0 else against)


def above(measured: Measured, points: Points, limit: float) -> list[Ordering]:
    """The value exceeds `limit` at each point."""
    return [measured.value(point, limit, "above") for point in measured.chosen(points)]


def somewhere_above(measured: Measured, points: Points, limit: float) -> list[Ordering]:
    """The value exceeds `limit` at some point; reversed if it lies below at every point."""
    tried = [measured.value(point, limit, "above") for point in measured.chosen(points)]
    return [_some(tried, len(tried), 1)]


def below(measured: Measured, points: Points, limit: float) -> list[Ordering]:
    """The value stays under `limit` at each point."""
    return [measured.value(point, limit, "below") for point in measured.chosen(points)]


def nearer(measured: Measured, point: Point, near: Point, far: Point) -> list[Ordering]:
    """The value at `point` lies nearer to the value at `near` than to the value at `far`.

    The difference is one distance minus the other, each between means, and its error that of a mean. Three values that
    differ only by chance are equally often nearer to either, so similarity without a difference to compare it with
    decides nothing.
    """
    point, near, far = map(measured.named, (point, near, far))
    to_far, to_near = (np.sign(measured.above(point, other).margin) or 1.0 for other in (far, near))
    weights = {point: to_far - to_near, far: -to_far, near: to_near}
    what = f"{measured.metric}: {measured.series} {said(point)} nearer to {said(near)} than to {said(far)}"
    return [measured.ordering(what, weights)]


def always(measured: Measured) -> list[Ordering]:
    """Every trial of a check succeeded: one counter-example reverses it. Columns: `successes`, `trials`.

    For checks without noise, and for trials that are tests with a negligible total error rate. No trials is a tie.
    """
    successes, trials = measured.checks
    return [_counted(measured, 0.0 if not trials else 1.0 if successes == trials else -1.0, 0.0)]


def mostly(measured: Measured) -> list[Ordering]:
    """More trials succeed than fail: the exact sign test, for trials with success probability 1/2 by chance."""
    successes, trials = measured.checks
    if not trials:
        return always(measured)
    return [_counted(measured, successes / trials - 0.5, float(binomtest(successes, trials).pvalue))]


def _counted(measured: Measured, margin: float, p: float) -> Ordering:
    successes, trials = measured.checks
    what = f"{measured.metric}: {successes:,} of {trials:,}"
    return Ordering(what, margin, given={"successes": successes, "trials": trials}, counted=p)


RULES: dict[str, Callable[..., list[Ordering]]] = {
    rule.__name__: rule
    for rule in (
        increasing,
        decreasing,
        trend,
        greater,
        nearer,
        peak_at,
        peak_inside,
        above,
        below,
        somewhere_above,
        spread,
        always,
        mostly,
    )
}
COUNTS = ("always", "mostly")  # the rules for tables of checks


def check_rule(rule: dict[str, Any]) -> None:
    """Check that `rule` names a known kind and has exactly the entries of that kind; raises ValueError if not."""
    kind = rule.get("kind") if isinstance(rule, dict) else None
    if kind not in RULES:
        raise ValueError(f"rule kind {kind!r} is unknown: choose one of {', '.join(RULES)}")
    needed = set(inspect.signature(RULES[kind]).parameters) - {"measured"}
    if given := set(rule) - {"kind"} ^ needed:
        raise ValueError(f"rule {kind!r} takes {sorted(needed) or 'nothing'}; missing or not known: {sorted(given)}")
    if kind == "trend" and rule["direction"] not in ("up", "down"):
        raise ValueError(f"rule 'trend' has the direction {rule['direction']!r}: choose up or down")


def apply_rule(rule: dict[str, Any], measured: Measured) -> list[Ordering]:
    """The orderings of a rule, such as `{"kind": "greater", "pairs": [[0.75, 0.9]]}`; raises MissingData."""
    return RULES[rule["kind"]](measured, **{name: value for name, value in rule.items() if name != "kind"})
