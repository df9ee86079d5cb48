"""Rules on hand-made tables whose answer is known: orderings, ties, gaps, seeds, images and exact numbers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mae_lib.claims.orderings import Finding, Measured, MissingData, basis_of, holm
from mae_lib.claims.rules import RULES, apply_rule, check_rule

NOISE = (-0.01, 0.0, 0.01)


def measured(values: dict, seeds: tuple[float, ...] | None = NOISE, series: str = "ratio") -> Measured:
    """A metric with the given mean at each point; the seeds' offsets differ from point to point, unless exact."""
    rows = []
    for k, (point, value) in enumerate(values.items()):
        offsets = [0.0] if seeds is None else np.roll(seeds, k)
        rows += [{series: point, "seed": s, "value": value + offset} for s, offset in enumerate(offsets)]
    table = pd.DataFrame(rows).drop(columns=["seed"] if seeds is None else [])
    return Measured.from_table(table, series, "score")


def found_by(rule: dict, data: Measured) -> list[Finding]:
    return holm(apply_rule(rule, data), 0.95, cap=data.basis in ("images", "one seed"))


def outcomes(rule: dict, data: Measured) -> list[str]:
    return [finding.outcome for finding in found_by(rule, data)]


RISING = {0.1: 0.1, 0.5: 0.5, 0.9: 0.9}
HILL = {0.1: 0.1, 0.5: 0.9, 0.9: 0.3}


@pytest.mark.parametrize("seeds", [NOISE, None])
@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ({"kind": "increasing", "points": [0.1, 0.5, 0.9]}, RISING, ["holds", "holds"]),
        ({"kind": "increasing", "points": "all"}, HILL, ["holds", "reversed"]),
        ({"kind": "decreasing", "points": "all"}, RISING, ["reversed", "reversed"]),
        ({"kind": "decreasing", "points": [0.5, 0.9]}, HILL, ["holds"]),
        ({"kind": "greater", "pairs": [[0.9, 0.1], [0.1, 0.5]]}, RISING, ["holds", "reversed"]),
        ({"kind": "greater", "pairs": [["largest", "smallest"], ["middle", "largest"]]}, HILL, ["holds", "holds"]),
        ({"kind": "nearer", "point": 0.9, "near": 0.1, "far": 0.5}, HILL, ["holds"]),
        ({"kind": "nearer", "point": 0.9, "near": 0.1, "far": 0.5}, RISING, ["reversed"]),
        ({"kind": "peak_at", "point": 0.5}, HILL, ["holds", "holds"]),
        ({"kind": "peak_at", "point": 0.5}, RISING, ["holds", "reversed"]),
        ({"kind": "peak_inside", "points": "all"}, HILL, ["holds"]),
        ({"kind": "peak_inside", "points": "all"}, RISING, ["reversed"]),
        ({"kind": "below", "points": "all", "limit": 0.7}, RISING, ["holds", "holds", "reversed"]),
        ({"kind": "spread", "points": "all", "least": 0.1}, RISING, ["holds"]),
        ({"kind": "spread", "points": "all", "least": 10}, RISING, ["reversed"]),
    ],
)
def test_clear_cases(rule, values, expected, seeds):
    assert outcomes(rule, measured(values, seeds)) == expected


def test_a_tie_is_a_tie_and_an_interval_across_zero_leans():
    greater = {"kind": "greater", "pairs": [[0.9, 0.1]]}
    assert outcomes(greater, measured({0.1: 0.5, 0.9: 0.5}, None)) == ["tie"]
    assert outcomes(greater, measured({0.1: 0.5, 0.9: 0.5}, (0.0, 0.0, 0.0))) == ["tie"]
    assert outcomes(greater, measured({0.1: 0.5, 0.9: 0.505})) == ["leans"]
    assert outcomes(greater, measured({0.1: 0.505, 0.9: 0.5})) == ["leans against"]


def by_seed(values: dict) -> Measured:
    rows = [{"ratio": r, "seed": s, "value": v} for r, vs in values.items() for s, v in enumerate(vs)]
    return Measured.from_table(pd.DataFrame(rows), "ratio", "score")


PEAK = {"kind": "peak_inside", "points": "all"}


def test_a_peak_exceeds_both_extremes_and_not_only_the_one_nearer_in_value():
    # 0.5 leads 0.9 by 0.7, surely, and 0.1 by 0.75, further but less surely.
    rivals = {0.1: (-1.25, -0.75, -0.25), 0.5: (0.0, 0.0, 0.0), 0.9: (-0.7, -0.7, -0.7)}
    assert outcomes({"kind": "greater", "pairs": [[0.5, 0.9]]}, by_seed(rivals)) == ["holds"]
    (one,) = found_by(PEAK, by_seed(rivals))
    assert one.outcome == "leans" and "less surely above 0.1" in one.what and one.numbers["low"] < 0
    (both,) = found_by(PEAK, by_seed(rivals | {0.1: (-1.05, -0.75, -0.45)}))
    assert both.outcome == "holds"


def test_a_peak_is_reversed_where_every_point_between_is_below_an_extreme():
    near = {0.25: (0.301, 0.3, 0.299), 0.75: (0.701, 0.7, 0.699)}
    rising = {0.1: (0.1, 0.101, 0.099), 0.9: (0.9, 0.901, 0.899)} | near
    assert outcomes(PEAK, by_seed(rising)) == ["reversed"]
    unsure = rising | {0.75: (0.5, 0.9, 1.3)}  # may be above both
    assert outcomes(PEAK, by_seed(unsure)) != ["reversed"]


def test_trend_is_the_slope_of_a_line():
    values = {0.1: 3.0, 0.25: 1.0, 0.5: 2.0, 0.9: 0.0}
    (found,) = found_by({"kind": "trend", "points": "all", "direction": "down"}, measured(values, None))
    slope = np.polyfit(range(4), list(values.values()), 1)[0]
    assert found.outcome == "holds" and found.numbers["difference"] == pytest.approx(-slope)
    assert outcomes({"kind": "trend", "points": "all", "direction": "up"}, measured(values, None)) == ["reversed"]
    with pytest.raises(ValueError, match="direction 'over'"):
        check_rule({"kind": "trend", "points": "all", "direction": "over"})


def test_holm_is_that_of_statsmodels_definition_and_intervals_agree_with_it():
    random = np.random.default_rng(1)
    gaps = {k: random.normal(lead, 1, size=9) for k, lead in enumerate((0.4, 1.0, 1.6, 0.0, -1.2))}
    pairs = []
    for gap in gaps.values():  # two points each, so that no error is shared
        pairs += [by_seed({0.1: np.zeros(9), 0.9: gap}).above(0.9, 0.1)]
    found = holm(pairs, 0.95)
    plain = np.array([stats.ttest_1samp(gap, 0).pvalue for gap in gaps.values()])
    order = np.argsort(plain)
    stepped = np.minimum(1, np.maximum.accumulate(plain[order] * np.arange(5, 0, -1)))
    assert [found[k].numbers["p"] for k in order] == pytest.approx(list(stepped))
    for one in found:
        low, high, sure = one.numbers["low"], one.numbers["high"], one.numbers["p"] <= 0.05
        assert (low > 0 or high < 0) == sure and (one.outcome in ("holds", "reversed")) == sure


def test_the_smallest_difference_that_could_have_been_seen_is_seen_in_four_of_five_cases():
    random, hits, seen = np.random.default_rng(2), [], []
    lead = 2.0
    for _ in range(2000):
        one = holm([by_seed({0.1: np.zeros(8), 0.9: random.normal(lead, 1.6, 8)}).above(0.9, 0.1)], 0.95)[0]
        hits.append(one.outcome == "holds")
        seen.append(one.numbers["seen"])
    assert np.mean(seen) == pytest.approx(lead, rel=0.15) and np.mean(hits) == pytest.approx(0.8, abs=0.1)


def test_an_error_is_at_least_that_of_all_points_together():
    random = np.random.default_rng(3)
    loud = {r: random.normal(0.5, 0.1, 3) for r in (0.25, 0.5, 0.75)}
    quiet = {0.1: (0.500, 0.500, 0.501), 0.9: (0.520, 0.520, 0.521)}
    greater = {"kind": "greater", "pairs": [[0.9, 0.1]]}
    assert outcomes(greater, by_seed(quiet)) == ["holds"]
    assert outcomes(greater, by_seed(quiet | loud)) == ["leans"]


def test_counts_of_images_add_the_binomial_part_to_right_answers_alone():
    rows = [
        {"ratio": r, "seed": s, "value": v + s / 1e3 * r, "count": 400}
        for r, v in ((0.1, 0.5), (0.9, 0.6))
        for s in range(5)
    ]
    errors = {}
    for metric in ("IN1K", "SSIM"):
        errors[metric] = Measured.from_table(pd.DataFrame(rows), "ratio", metric).above(0.9, 0.1).error
    shares = [np.mean([row["value"] for row in rows if row["ratio"] == r]) for r in (0.1, 0.9)]
    extra = sum(p * (1 - p) / 400 for p in shares)
    assert errors["IN1K"] == pytest.approx((errors["SSIM"] ** 2 + extra) ** 0.5)


def test_intervals_keep_to_the_bounds_of_a_score():
    rows = [{"ratio": 0.1, "seed": s, "value": v} for s, v in enumerate((0.05, 0.5, 0.95))]
    table = pd.DataFrame(rows)
    below = {"kind": "below", "points": [0.1], "limit": 0.9}
    (bounded,) = found_by(below, Measured.from_table(table, "ratio", "overlap with the object"))
    (free,) = found_by(below, Measured.from_table(table, "ratio", "PSNR"))
    assert (bounded.numbers["low"], bounded.numbers["high"]) == (0, 1) and free.numbers["high"] > 1


def test_nearer_compares_distances_whatever_their_direction():
    rule = {"kind": "nearer", "point": 0.9, "near": 0.1, "far": 0.5}
    for values in ({0.1: 0.2, 0.5: 0.9, 0.9: 0.1}, {0.1: 0.2, 0.5: -0.9, 0.9: 0.3}):
        (found,) = found_by(rule, measured(values, None))
        far, near = abs(values[0.9] - values[0.5]), abs(values[0.9] - values[0.1])
        assert found.outcome == "holds" and found.numbers["difference"] == pytest.approx(far - near)
    assert outcomes(rule, measured({0.1: 0.25, 0.5: 0.5, 0.9: 0.375}, None)) == ["tie"]
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
    data = Measured.from_table(pd.DataFrame(rows), "ratio", "SSIM")
    (finding,) = found_by({"kind": "greater", "pairs": [[0.9, 0.1]]}, data)
    assert finding.outcome == "holds" and finding.numbers["count"] == 3
    assert finding.numbers["difference"] == pytest.approx(0.0101)


def test_the_interval_of_seeds_is_students():
    data = measured({0.1: 0.0, 0.9: 0.0}, (1.0, 2.0, 3.0))
    (finding,) = found_by({"kind": "below", "points": [0.1], "limit": 5}, data)
    assert finding.numbers["low"] == pytest.approx(2 - 4.302653 / 3**0.5)


def test_a_margin_decides_and_the_numbers_are_what_was_measured():
    data = measured({0.1: 0.3, 0.9: 0.5}, (-0.01, 0.0, 0.01, 0.03))
    (plain,) = found_by({"kind": "greater", "pairs": [[0.9, 0.1]]}, data)
    low, high = plain.numbers["low"], plain.numbers["high"]  # a difference of 0.2 in an interval around it
    spread = {"kind": "spread", "points": [0.1, 0.9]}
    # Of two points either may lead, which costs a factor of two: the interval is a little wider.
    for least, expected in ((low - 0.02, "holds"), (low + 1e-9, "leans"), (0.2 + 1e-9, "leans against")):
        (found,) = found_by(spread | {"least": least}, data)
        assert found.outcome == expected and found.numbers["difference"] == pytest.approx(0.2)
    assert outcomes(spread | {"least": high + 1e-9}, data) == ["reversed"]
    (wide,) = found_by({"kind": "below", "points": [0.9], "limit": 0.9}, data)
    mean, low, high = (wide.numbers[name] for name in ("value", "low", "high"))
    assert low < mean < high and mean == pytest.approx(0.5075)
    for limit, expected in ((high + 1e-9, "holds"), (high - 1e-9, "leans"), (mean - 1e-9, "leans against")):
        (found,) = found_by({"kind": "below", "points": [0.9], "limit": limit}, data)
        assert found.outcome == expected and found.numbers["value"] == pytest.approx(mean)
        (other,) = found_by({"kind": "above", "points": [0.9], "limit": limit}, data)
        turned = {"holds": "reversed", "leans": "leans against", "leans against": "leans"}[expected]
        assert other.outcome == turned
    equal = measured({0.1: 0.5, 0.5: 0.5, 0.9: 0.5}, None)
    (same,) = found_by({"kind": "spread", "points": "all", "least": 0.5}, equal)
    assert same.outcome == "reversed" and same.numbers["difference"] == same.numbers["low"] == same.numbers["high"] == 0


def test_somewhere_is_one_point_and_reversed_is_all_of_them():
    values = {0.1: 0.1, 0.5: 0.3, 0.9: 0.2}
    for limit, expected in ((0.25, "holds"), (0.4, "reversed")):
        assert outcomes({"kind": "somewhere_above", "points": "all", "limit": limit}, measured(values)) == [expected]


def test_seeds_and_images_are_both_drawn_anew_and_one_seed_leans_at_best():
    random = np.random.default_rng(0)
    rows = [
        {"ratio": r, "seed": s, "image": i, "value": r + random.normal()}
        for r in (0.1, 0.9)
        for s in range(2)
        for i in range(300)
    ]
    table = pd.DataFrame(rows)
    rule = {"kind": "greater", "pairs": [[0.9, 0.1]]}
    assert basis_of(table) == "seeds and images"
    (seeds,) = found_by(rule, Measured.from_table(table, "ratio", "SSIM"))
    assert seeds.numbers["count"] == 2
    one = table[table["seed"] == 0]
    assert basis_of(one) == basis_of(one.drop(columns="seed")) == "images"
    (images,) = found_by(rule, Measured.from_table(one, "ratio", "SSIM"))
    assert images.numbers["count"] == 300 and images.outcome == "leans"
    assert 0 < images.numbers["low"] < images.numbers["difference"] < images.numbers["high"]


def test_one_seed_without_images_leans_at_best():
    data = measured(RISING, (0.0,))
    assert data.basis == "one seed"
    assert outcomes({"kind": "increasing", "points": "all"}, data) == ["leans", "leans"]


def test_what_was_chosen_by_looking_pays_for_it():
    one = {0.1: (0, 0, 0), 0.5: (0.06, 0.1, 0.13), 0.9: (0.001, -0.001, 0)}
    points = [0.1, 0.5, 0.9]
    alone = apply_rule({"kind": "peak_inside", "points": points}, by_seed(one))[0]
    three = one | {0.25: (0, 0, 0), 0.75: (0, 0, 0)}
    chosen = apply_rule(PEAK, by_seed(three))[0]
    assert alone.choices == 1 and chosen.choices == 3 and chosen.p == pytest.approx(6 * chosen.above)
    assert apply_rule({"kind": "spread", "points": points, "least": 0.01}, by_seed(one))[0].choices == 6


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
        apply_rule({"kind": "greater", "pairs": [[0.9, 0.1]]}, Measured.from_table(table, "ratio", "SSIM"))


def test_two_values_for_one_measurement_are_refused():
    table = pd.DataFrame({"ratio": [0.1, 0.1, 0.9], "value": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=r"two values at \{'ratio': 0.1\}"):
        Measured.from_table(table, "ratio", "SSIM")


def test_one_counter_example_is_enough():
    def count(successes: int, trials: int, others: int = 5) -> Measured:
        table = pd.DataFrame({"successes": [successes, others], "trials": [trials, others]})
        return Measured.from_table(table, "none", "masks")

    assert outcomes({"kind": "always"}, count(10, 10)) == ["holds"]
    assert outcomes({"kind": "always"}, count(9, 10)) == ["reversed"]
    assert outcomes({"kind": "always"}, count(0, 0, 0)) == outcomes({"kind": "mostly"}, count(0, 0, 0)) == ["tie"]
    for successes, expected in ((10, "holds"), (6, "leans"), (0, "leans against")):
        assert outcomes({"kind": "mostly"}, count(successes, 10)) == [expected]
    (found,) = found_by({"kind": "mostly"}, count(9, 10, 0))
    assert found.numbers == {"successes": 9, "trials": 10} and found.outcome == "holds"  # p = 22 / 1024


@pytest.mark.parametrize(
    "rule", [{"kind": "rising"}, {}, None, {"kind": "below", "points": "all"}, {"kind": "always", "points": []}]
)
def test_rules_that_are_not_known_are_refused(rule):
    with pytest.raises(ValueError, match="rule"):
        check_rule(rule)


def test_every_rule_is_checked_by_its_own_signature():
    orderings = {"increasing", "decreasing", "trend", "greater", "nearer", "peak_at", "peak_inside", "spread"}
    assert set(RULES) == orderings | {"above", "below", "somewhere_above", "always", "mostly"}
    check_rule({"kind": "peak_at", "point": 0.75})
