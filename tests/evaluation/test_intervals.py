"""Intervals against hand-worked values, and their coverage against what they promise."""

import numpy as np
import pytest

from mae_lib.evaluation.intervals import bootstrap_interval, mean_interval


def test_t_interval_of_three_values():
    # Mean 2, standard error 1/sqrt(3), t quantile 4.302653 for two degrees of freedom.
    interval = mean_interval([1, 2, 3])
    assert interval == pytest.approx((2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5, 3), rel=1e-6)


def test_t_interval_covers_as_it_says():
    draws = np.random.default_rng(0).normal(size=(1000, 4))
    covered = np.mean([low <= 0 <= high for _, low, high, _ in map(mean_interval, draws)])
    assert covered == pytest.approx(0.95, abs=0.025)


def test_bootstrap_agrees_with_t_on_many_values_and_repeats_itself():
    values = np.random.default_rng(1).normal(3, 2, size=800)
    boot, student = bootstrap_interval(values), mean_interval(values)
    assert boot.mean == student.mean
    assert (boot.low, boot.high) == pytest.approx((student.low, student.high), abs=0.02)
    assert boot == bootstrap_interval(values)
    assert bootstrap_interval(values, confidence=0.5).low > boot.low


@pytest.mark.parametrize("interval", [mean_interval, bootstrap_interval])
def test_edge_cases(interval):
    single = interval([4.0])
    assert single.mean == 4 and np.isnan(single.low) and np.isnan(single.high) and single.count == 1
    assert interval([2.0, 2.0])[:3] == (2, 2, 2)
    for values, message in (([], "at least one"), ([[1.0]], "flat"), ([1.0, np.inf], "1 of 2 values")):
        with pytest.raises(ValueError, match=message):
            interval(values)
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval([1.0, 2.0], confidence=95)
