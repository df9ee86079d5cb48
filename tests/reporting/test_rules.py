"""Rules on hand-made tables whose answer is known: orderings, ties, gaps, seeds, images and exact numbers."""

import numpy as np
import pandas as pd
import pytest

from mae_lib.reporting.rules import RULES, Measured, MissingData, apply_rule, basis_of, check_rule

NOISE = (-0.01, 0.0, 0.01)


def measured(values: dict, seeds: tuple[float, ...] | None = NOISE, series: str = "ratio") -> Measured:
    """A metric with the given mean at each point; the seeds' offsets differ from point to point, unless exact."""
    rows = []
    for k, (point, value) in enumerate(values.items()):
        offsets = [0.0] if seeds is None else np.roll(seeds, k)
        rows += [{series: point, "seed": s, "value": value + offset} for s, offset in enumerate(offsets)]
    table = pd.DataFrame(rows).drop(columns=["seed"] if seeds is None else [])
    return Measured(table, series, "SSIM", basis_of(table), 0.95)


def outcomes(rule: dict, data: Measured) -> list[str]:
    return [finding.outcome for finding in apply_rule(rule, data)]


RISING = {0.1: 0.1, 0.5: 0.5, 0.9: 0.9}
HILL = {0.1: 0.1, 0.5: 0.9, 0.9: 0.3}


@pytest.mark.parametrize("seeds", [NOISE, None])
@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ({"kind": "increasing", "points": [0.1, 0.5, 0.9]}, RISING, ["holds", "holds"]),
        ({"kind": "increasing", "points": "all"}, HILL, ["holds", "fails"]),
        ({"kind": "decreasing", "points": "all"}, RISING, ["fails", "fails"]),
        ({"kind": "decreasing", "points": [0.5, 0.9]}, HILL, ["holds"]),
        ({"kind": "greater", "pairs": [[0.9, 0.1], [0.1, 0.5]]}, RISING, ["holds", "fails"]),
        ({"kind": "greater", "pairs": [["largest", "smallest"], ["middle", "largest"]]}, HILL, ["holds", "holds"]),
        ({"kind": "nearer", "point": 0.9, "near": 0.1, "far": 0.5}, HILL, ["holds"]),
        ({"kind": "nearer", "point": 0.9, "near": 0.1, "far": 0.5}, RISING, ["fails"]),
        ({"kind": "peak_at", "point": 0.5}, HILL, ["holds", "holds"]),
        ({"kind": "peak_at", "point": 0.5}, RISING, ["holds", "fails"]),
        ({"kind": "peak_inside", "points": "all"}, HILL, ["holds"]),
        ({"kind": "peak_inside", "points": "all"}, RISING, ["fails"]),
        ({"kind": "below", "points": "all", "limit": 0.7}, RISING, ["holds", "holds", "fails"]),
        ({"kind": "spread", "points": "all", "least": 0.1}, RISING, ["holds"]),
        ({"kind": "spread", "points": "all", "least": 10}, RISING, ["fails"]),
    ],
)
def test_clear_cases(rule, values, expected, seeds):
    assert outcomes(rule, measured(values, seeds)) == expected


def test_a_tie_fails_and_an_interval_across_zero_leans():
    greater = {"kind": "greater", "pairs": [[0.9, 0.1]]}
    assert outcomes(greater, measured({0.1: 0.5, 0.9: 0.5}, None)) == ["fails"]
    assert outcomes(greater, measured({0.1: 0.5, 0.9: 0.5}, (0.0, 0.0, 0.0))) == ["fails"]
    assert outcomes(greater, measured({0.1: 0.5, 0.9: 0.505})) == ["leans"]
    assert outcomes(greater, measured({0.1: 0.505, 0.9: 0.5})) == ["fails"]


def test_nearer_compares_distances_whatever_their_direction():
    rule = {"kind": "nearer", "point": 0.9, "near": 0.1, "far": 0.5}
    for values in ({0.1: 0.2, 0.5: 0.9, 0.9: 0.1}, {0.1: 0.2, 0.5: -0.9, 0.9: 0.3}):
        (found,) = apply_rule(rule, measured(values, None))
        far, near = abs(values[0.9] - values[0.5]), abs(values[0.9] - values[0.1])
        assert found.outcome == "holds" and found.numbers["difference"] == pytest.approx(far - near)
    assert outcomes(rule, measured({0.1: 0.25, 0.5: 0.5, 0.9: 0.375}, None)) == ["fails"]  # a tie
    assert outcomes(rule, measured({0.1: 0.2, 0.5: 0.4, 0.9: 0.299})) == ["leans"]
    with pytest.raises(MissingData, match=r"not measured at ratio 0\.5"):
        apply_rule(rule, measured({0.1: 0.2, 0.9: 0.3}))


def test_seeds_are_paired():
    # Seeds differ by tenths, the points by a hundredth: only pairing sees it.
    rows = [
        {"ratio": r, "seed": s, "value": s / 10 + d * (1 + s / 100)}
        for s in range(3)
        for r, d in ((0.1, 0), (0.9, 0.01))
    ]
    data = Measured(pd.DataFrame(rows), "ratio", "SSIM", "seeds", 0.95)
    (finding,) = apply_rule({"kind": "greater", "pairs": [[0.9, 0.1]]}, data)
    assert finding.outcome == "holds" and finding.numbers["count"] == 3
    assert finding.numbers["difference"] == pytest.approx(0.0101)


def test_the_interval_of_seeds_is_students():
    data = measured({0.1: 0.0, 0.9: 0.0}, (1.0, 2.0, 3.0))
    (finding,) = apply_rule({"kind": "below", "points": [0.1], "limit": 5}, data)
    assert finding.numbers["low"] == pytest.approx(2 - 4.302653 / 3**0.5)


def test_a_margin_decides_and_the_numbers_are_what_was_measured():
    data = measured({0.1: 0.3, 0.9: 0.5}, (-0.01, 0.0, 0.01, 0.03))
    spread = {"kind": "spread", "points": [0.1, 0.9]}
    (plain,) = apply_rule(spread | {"least": 0.0}, data)
    low, high = plain.numbers["low"], plain.numbers["high"]  # a difference of 0.2 in an interval around it
    for least, expected in ((low - 1e-9, "holds"), (low + 1e-9, "leans"), (0.2 + 1e-9, "fails"), (high, "fails")):
        (found,) = apply_rule(spread | {"least": least}, data)
        assert found.outcome == expected and found.numbers == pytest.approx(plain.numbers)
    (wide,) = apply_rule({"kind": "below", "points": [0.9], "limit": 9.0}, data)
    mean, low, high = (wide.numbers[name] for name in ("value", "low", "high"))
    assert low < mean < high and mean == pytest.approx(0.5075)
    for limit, expected in ((high + 1e-9, "holds"), (high - 1e-9, "leans"), (mean - 1e-9, "fails"), (low, "fails")):
        (found,) = apply_rule({"kind": "below", "points": [0.9], "limit": limit}, data)
        assert found.outcome == expected and found.numbers == pytest.approx(wide.numbers)
    equal = measured({0.1: 0.5, 0.5: 0.5, 0.9: 0.5}, None)
    (same,) = apply_rule({"kind": "spread", "points": "all", "least": 0.5}, equal)
    assert same.outcome == "fails" and same.numbers["difference"] == same.numbers["low"] == same.numbers["high"] == 0


def test_images_are_averaged_within_seeds_and_resampled_for_one_seed():
    random = np.random.default_rng(0)
    rows = [
        {"ratio": r, "seed": s, "image": i, "value": r + random.normal()}
        for r in (0.1, 0.9)
        for s in range(2)
        for i in range(300)
    ]
    table = pd.DataFrame(rows)
    rule = {"kind": "greater", "pairs": [[0.9, 0.1]]}
    (seeds,) = apply_rule(rule, Measured(table, "ratio", "SSIM", basis_of(table), 0.95))
    assert seeds.numbers["count"] == 2
    one = table[table["seed"] == 0]
    assert basis_of(one) == basis_of(one.drop(columns="seed")) == "images"
    (images,) = apply_rule(rule, Measured(one, "ratio", "SSIM", basis_of(one), 0.95))
    assert images.numbers["count"] == 300 and images.outcome == "holds"
    assert images.numbers["low"] < images.numbers["difference"] < images.numbers["high"]


def test_one_seed_without_images_leans_at_best():
    data = measured(RISING, (0.0,))
    assert data.basis == "one seed"
    assert outcomes({"kind": "increasing", "points": "all"}, data) == ["leans", "leans"]


def test_the_peak_inside_pays_for_its_choice():
    # Against the better extreme the middle point leads by 0.1 with standard error 0.0204: enough at 95% (t = 4.30)
    # when it is the only candidate, not when it is the best of three.
    one = {0.1: (0, 0, 0), 0.5: (0.06, 0.1, 0.13), 0.9: (0, 0, 0)}
    three = one | {0.25: (0, 0, 0), 0.75: (0, 0, 0)}
    for values, expected in ((one, "holds"), (three, "leans")):
        rows = [{"ratio": r, "seed": s, "value": v} for r, vs in values.items() for s, v in enumerate(vs)]
        data = Measured(pd.DataFrame(rows), "ratio", "SSIM", "seeds", 0.95)
        assert outcomes({"kind": "peak_inside", "points": "all"}, data) == [expected]


@pytest.mark.parametrize(
    ("rule", "values", "message"),
    [
        ({"kind": "increasing", "points": [0.1, 0.25]}, RISING, "not measured at ratio 0.25"),
        ({"kind": "increasing", "points": "all"}, {0.1: 1, 0.9: 2}, "2 of the 3 ratios"),
        ({"kind": "greater", "pairs": [["middle", "smallest"]]}, {0.1: 1, 0.9: 2}, "2 of the 3 ratios"),
        ({"kind": "greater", "pairs": [[0.9, 0.1]]}, {0.1: np.nan, 0.9: 2}, "0.1 has 3 values that are not finite"),
        ({"kind": "greater", "pairs": [[0.9, 0.1]]}, {0.1: 1, 0.9: np.inf}, "0.9 has 3 values that are not finite"),
        ({"kind": "peak_inside", "points": [0.1, 0.9]}, RISING, "no ratio between 0.1 and 0.9"),
    ],
)
def test_what_is_missing_is_named(rule, values, message):
    with pytest.raises(MissingData, match=message):
        apply_rule(rule, measured(values))


def test_points_without_a_common_seed_are_not_compared():
    table = pd.DataFrame({"ratio": [0.1, 0.9], "seed": [0, 1], "value": [1.0, 2.0]})
    with pytest.raises(MissingData, match="shares no seed"):
        apply_rule({"kind": "greater", "pairs": [[0.9, 0.1]]}, Measured(table, "ratio", "SSIM", "seeds", 0.95))


def test_two_values_for_one_measurement_are_refused():
    table = pd.DataFrame({"ratio": [0.1, 0.1, 0.9], "value": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=r"two values at \{'ratio': 0.1\}"):
        Measured(table, "ratio", "SSIM", basis_of(table), 0.95)


def test_one_counter_example_is_enough():
    def count(successes: int, trials: int) -> Measured:
        table = pd.DataFrame({"successes": [successes, 5], "trials": [trials, 5]})
        return Measured(table, "none", "masks", "exact", 0.95)

    assert outcomes({"kind": "always"}, count(10, 10)) == ["holds"]
    assert outcomes({"kind": "always"}, count(9, 10)) == ["fails"]
    with pytest.raises(MissingData, match="nothing was tried"):
        apply_rule(
            {"kind": "always"}, Measured(pd.DataFrame({"successes": [0], "trials": [0]}), "none", "m", "exact", 0.95)
        )


@pytest.mark.parametrize(
    "rule", [{"kind": "rising"}, {}, None, {"kind": "below", "points": "all"}, {"kind": "always", "points": []}]
)
def test_rules_that_are_not_known_are_refused(rule):
    with pytest.raises(ValueError, match="rule"):
        check_rule(rule)


def test_every_rule_is_checked_by_its_own_signature():
    orderings = {"increasing", "decreasing", "greater", "nearer", "peak_at", "peak_inside"}
    assert set(RULES) == orderings | {"below", "spread", "always"}
    check_rule({"kind": "peak_at", "point": 0.75})
