"""The row of bits: the masks of a series against the theory, and what it does to a figure."""

import numpy as np

from mae_lib.limits.bits_by_level import figurine_tree
from mae_lib.studies.series import Series
from mae_lib.theory.information import expected_bits
from mae_lib.theory.mask_levels import FixedCount
from maebook.bits_beside import bits_row, top_bits
from maebook.figures import figure

SERIES = Series.of("smoke", [0.25, 0.75], [8, 16], [0, 1])


def test_bits_are_those_of_the_series_masks():
    found = top_bits(SERIES, draws=2048)
    tree = figurine_tree(SERIES.world, 4)
    laws = [FixedCount.of_ratio(r, 16) for r in (0.25, 0.75)]  # units of 8 px are corners, masked in whole numbers
    wanted = expected_bits(tree, laws, np.arange(64) // 4).by_level[:, -1]
    assert found["ratio"]["ratio"].tolist() == [0.25, 0.75] and found["unit"]["unit"].tolist() == [8, 16]
    np.testing.assert_allclose(found["ratio"]["value"], wanted, rtol=0.15)  # masks are drawn


def test_the_row_stands_last_and_alone_has_labels():
    _, axes = figure(2, 2, sharex="col")
    for axis in axes.flat:
        axis.set_xlabel("above")
    bits_row(axes, top_bits(SERIES, draws=2))
    assert [axis.get_xlabel() for axis in axes.flat] == ["", "", "mask ratio", "mask unit (px)"]
    assert all(len(axis.lines) == 1 and axis.get_ylim()[0] == 0 for axis in axes[1])
    assert "theory" in axes[1, 0].get_title("left")


def test_where_no_tree_is_assumed_the_row_says_so():
    odd = Series(SERIES.configs, {**SERIES.scale, "image_size": 28})
    assert top_bits(odd) is None
    _, axes = figure(2, 2, sharex="col")
    bits_row(axes, None)
    assert [axis.texts[0].get_text() for axis in axes[1]] == ["no tree assumed"] * 2
