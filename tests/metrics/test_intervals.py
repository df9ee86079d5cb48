"""Intervals against hand-worked values, and their coverage against what they promise."""

import numpy as np
import pytest

from mae_lib.metrics.intervals import bootstrap_interval, crossed_error, mean_interval, pooled_error
from mae_lib.metrics.names import bounds, is_hits


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


def test_an_interval_keeps_to_the_bounds_of_its_score():
    # Two seeds whose interval would run from -0.2 to 1.4 and beyond.
    low, high = mean_interval([0.55, 0.65], bounds=bounds("class token on the object"))[1:3]
    assert (low, high) == (0.0, 1.0) and mean_interval([0.55, 0.65]).low < 0
    assert mean_interval([20.0, 30.0], bounds=bounds("PSNR")) == mean_interval([20.0, 30.0])


def test_an_error_over_seeds_alone_or_images_alone_is_students():
    values = np.random.default_rng(0).normal(size=7)
    _, low, _, _ = mean_interval(values)
    for grid in (values[:, None], values[None]):
        found = crossed_error(grid)
        assert found.freedom == 6 and found.error == pytest.approx(values.std(ddof=1) / 7**0.5)
        assert found.mean - 2.446912 * found.error == pytest.approx(low, rel=1e-6)
    assert np.isnan(crossed_error(np.ones((1, 1))).error)


def test_an_error_over_seeds_and_images_is_that_of_drawing_both_anew():
    random = np.random.default_rng(1)
    seeds, images = 40, 50
    grid = 0.3 * random.normal(size=(seeds, 1)) + 0.4 * random.normal(size=(1, images))
    grid = grid + random.normal(size=(seeds, images))
    rows = random.integers(seeds, size=(1000, seeds))
    columns = random.integers(images, size=(1000, images))
    drawn = np.array([grid[np.ix_(row, column)].mean() for row, column in zip(rows, columns)])
    # Drawing both anew counts the interaction three times (Owen 2007): take two of them off.
    left = grid - grid.mean(0) - grid.mean(1, keepdims=True) + grid.mean()
    twice = 2 * (left**2).sum() / ((seeds - 1) * (images - 1)) / grid.size
    assert crossed_error(grid).error == pytest.approx((drawn.var() - twice) ** 0.5, rel=0.1)


def test_the_error_of_all_points_together_is_that_of_a_block_design():
    grid = np.random.default_rng(2).normal(size=(4, 5, 1)) + 10 * np.arange(5)[None, :, None]
    found = pooled_error(grid)
    left = grid[:, :, 0] - grid[:, :, 0].mean(0) - grid[:, :, 0].mean(1, keepdims=True) + grid.mean()
    assert found.freedom == 12 and found.error == pytest.approx(((left**2).sum() / 12 / 5) ** 0.5)


def test_what_a_name_says_of_a_score():
    assert all(map(is_hits, ("IN1K", "class probe", "class by neighbours", "shape accuracy at 0.5")))
    assert not any(map(is_hits, ("SSIM", "class gained", "IN1K over guessing", "parts probe", "shape bias")))
    assert bounds("photographs: SSIM") == bounds("overlap with the object") == bounds("shape bias at 0.5") == (0, 1)
    assert bounds("AP50 mask") == (0, 100) and bounds("object set apart by the class token") == (0, 0.5)
    for free in ("PSNR", "negative MSE", "class gained", "IN1K over guessing", "lead of hidden patches beside"):
        assert bounds(free) == (-np.inf, np.inf)
