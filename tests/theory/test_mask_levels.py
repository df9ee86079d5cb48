"""Formulas against enumeration and Monte Carlo, and the tables that the book prints."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from mae_lib.theory import LatentHierarchy, locate_shared_information_batch
from mae_lib.theory.mask_levels import (
    FixedCount,
    IndependentUnits,
    enumerate_probabilities,
    expected_sinks,
    hidden_levels,
    mean_level,
    monte_carlo,
    shared_levels,
    sink_probability,
    sinks_per_level,
    split_probability,
    square_units,
)

RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)


def by_level(hierarchy, values):
    """Sum over the latents of each level, lowest first."""
    levels = hierarchy.node_levels[: hierarchy.latent_count]
    return np.array([values[levels == level].sum() for level in range(1, levels.max() + 1)])


@pytest.mark.parametrize("branching", [(4,), (2, 4), (4, 4), (3, 2, 2), (2, 2, 2, 2), (1, 3, 2)])
@pytest.mark.parametrize("law_of", [IndependentUnits, FixedCount], ids=["independent", "fixed count"])
def test_formulas_agree_with_enumeration(branching, law_of):
    hierarchy, leaves = LatentHierarchy.tree(branching), math.prod(branching)
    laws = (
        [IndependentUnits(r) for r in (0, 0.1, 0.4, 0.75, 1)]
        if law_of is IndependentUnits
        else [FixedCount(k, leaves) for k in {0, 1, leaves // 3, leaves // 2, leaves - 1, leaves}]
    )
    for law in laws:
        split, sink = enumerate_probabilities(hierarchy, law)
        np.testing.assert_allclose(by_level(hierarchy, sink), expected_sinks(branching, law), atol=1e-12)
        for z, p_split, p_sink in zip(hierarchy.latents, split, sink):
            below = len(hierarchy.descendant_observables(z))
            assert p_split == pytest.approx(split_probability(law, below), abs=1e-12)
            assert p_sink == pytest.approx(sink_probability(law, below, len(hierarchy.children(z))), abs=1e-12)


@pytest.mark.parametrize(("branching", "unit"), [((2, 2, 4), 2), ((2, 2, 4), 4), ((4, 4), 4), ((2, 6), 3), ((2, 2), 4)])
@pytest.mark.parametrize("ratio", RATIOS)
def test_formulas_agree_with_enumeration_of_larger_units(branching, unit, ratio):
    hierarchy, leaves = LatentHierarchy.tree(branching), math.prod(branching)
    unit_of = np.arange(leaves) // unit
    for law in (IndependentUnits(ratio), FixedCount(round(ratio * leaves / unit), leaves // unit)):
        _, sink = enumerate_probabilities(hierarchy, law, unit_of)
        np.testing.assert_allclose(by_level(hierarchy, sink), expected_sinks(branching, law, unit), atol=1e-12)


@pytest.mark.parametrize(("units", "children"), [(4, 4), (16, 4), (64, 4), (12, 3)])
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_closed_form_for_independent_units(units, children, ratio):
    r, each = Fraction(ratio), units // children
    both = r**units + (1 - r) ** units
    law = IndependentUnits(ratio)
    assert split_probability(law, units) == pytest.approx(float(1 - both), abs=1e-12)
    sink = (r**each + (1 - r) ** each) ** children - both
    assert sink_probability(law, units, children) == pytest.approx(float(sink), abs=1e-12)


def test_a_ratio_and_its_complement_give_the_same_levels():
    for ratio in RATIOS:
        expected = expected_sinks((4, 4, 4), IndependentUnits(1 - ratio))
        np.testing.assert_allclose(expected_sinks((4, 4, 4), IndependentUnits(ratio)), expected, rtol=1e-9)


def test_the_unit_sets_the_level_and_the_ratio_the_count_on_a_16_by_16_quadtree():
    for level, unit in enumerate((1, 2, 4, 8), start=1):
        means = [mean_level(expected_sinks((4,) * 4, IndependentUnits(r), unit**2)) for r in RATIOS]
        np.testing.assert_allclose(means, level, atol=1e-3)
    lowest = [expected_sinks((4,) * 4, IndependentUnits(r))[0] for r in RATIOS]
    np.testing.assert_allclose(lowest, [22.0, 43.5, 56.0, 43.5, 22.0], atol=0.01)


def test_isolating_a_level_2_node_peaks_off_the_middle_and_is_rare():
    ratios = np.arange(1, 1000) / 1000
    values = [sink_probability(IndependentUnits(r), 16, 4) for r in ratios]
    assert ratios[np.argmax(values[:500])] == 0.255
    assert ratios[499 + np.argmax(values[499:])] == 0.745
    assert max(values) == pytest.approx(5e-4, abs=2e-5)


def test_too_few_masked_or_visible_leaves_never_isolate_the_root():
    hierarchy = LatentHierarchy.tree((4, 4))
    masks = np.array(list(product([False, True], repeat=16)))
    isolated = locate_shared_information_batch(hierarchy, masks).c[:, 0]
    counts = masks.sum(1)
    assert set(counts[isolated]) == {4, 8, 12}
    # Alone in c: the root's children are all masked or all visible.
    assert isolated.sum() == 2**4 - 2


@pytest.mark.parametrize("law", [IndependentUnits(0.3), FixedCount(12, 16)], ids=["independent", "fixed count"])
def test_monte_carlo_holds_the_truth_in_its_interval(law):
    hierarchy, unit_of = LatentHierarchy.quadtree(8), square_units(8, 2)
    exact = enumerate_probabilities(hierarchy, law, unit_of)
    # 4.5 standard deviations: a wrong law fails, and chance does not.
    for estimate, truth in zip(monte_carlo(hierarchy, law, 20_000, 0, unit_of, z=4.5), exact):
        assert np.all((estimate.low <= truth) & (truth <= estimate.high))
        assert np.all(estimate.high - estimate.low < 0.04)
    assert not np.allclose(exact[1], 0)


def test_monte_carlo_intervals_cover_as_often_as_they_say():
    hierarchy, law = LatentHierarchy.tree((2, 2)), IndependentUnits(0.2)
    truth = enumerate_probabilities(hierarchy, law)[1][0]
    runs = [monte_carlo(hierarchy, law, 200, seed)[1] for seed in range(400)]
    covered = np.mean([run.low[0] <= truth <= run.high[0] for run in runs])
    assert 0.91 < covered < 0.99


def test_monte_carlo_is_a_function_of_its_seed():
    hierarchy, law = LatentHierarchy.figure_4(), IndependentUnits(0.5)
    one, same, other = (monte_carlo(hierarchy, law, 50, seed)[1].value for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_counts_per_level_and_their_mean():
    hierarchy = LatentHierarchy.quadtree(4)
    masks = np.zeros((3, 16), dtype=bool)
    masks[0, [0, 15]] = True  # splits two blocks
    masks[1, [0, 1, 4, 5]] = True  # one whole block
    counts = sinks_per_level(hierarchy, masks)
    assert counts.tolist() == [[2, 0], [0, 1], [0, 0]]
    np.testing.assert_array_equal(mean_level(counts), [1, 2, np.nan])


def test_square_units_cover_the_image_in_blocks():
    assert square_units(4, 2).reshape(4, 4).tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2
    assert square_units(3, 1).tolist() == list(range(9))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: IndependentUnits(1.2), r"ratio is 1.2: it must lie in \[0, 1\]"),
        (lambda: IndependentUnits(float("nan")), "ratio is nan"),
        (lambda: FixedCount(5, 4), "masked is 5"),
        (lambda: square_units(16, 3), "unit is 3: it must divide the side, 16"),
        (lambda: sink_probability(IndependentUnits(0.5), 6, 4), "children is 4"),
        (lambda: expected_sinks((4, 4), IndependentUnits(0.5), unit=3), "unit is 3"),
        (lambda: expected_sinks((4, 6), IndependentUnits(0.5), unit=8), "4 children of 6 observables"),
        (lambda: expected_sinks((4, 4), IndependentUnits(0.5), unit=0), "unit is 0"),
        (lambda: expected_sinks((4, 4), FixedCount(3, 15)), "total is 15: there are 16 units"),
        (lambda: monte_carlo(LatentHierarchy.figure_4(), FixedCount(1, 8), 10, 0), "total is 8: there are 7 units"),
        (lambda: monte_carlo(LatentHierarchy.figure_4(), IndependentUnits(0.5), 0, 0), "draws is 0"),
        (lambda: enumerate_probabilities(LatentHierarchy.quadtree(8), IndependentUnits(0.5)), "64 units .* 20 at most"),
        (lambda: monte_carlo(LatentHierarchy.tree([3]), IndependentUnits(0.5), 9, 0, [0, 2, 2]), "numbered from 0"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_grid_out_of_step_splits_the_share_of_blocks_that_its_borders_cross(k):
    # The exercise mask-levels-offset: units of 2^k shifted by one pixel right and down.
    tree, r = LatentHierarchy.quadtree(16), 0.3
    units = np.roll(square_units(16, 2**k).reshape(16, 16), (1, 1), (0, 1))
    in_block = [len(np.unique(units[i : i + 2, j : j + 2])) for i in range(0, 16, 2) for j in range(0, 16, 2)]
    assert np.mean(np.array(in_block) > 1) == 1 - (1 - 2 ** (1 - k)) ** 2
    chance = np.array([1 - r**n - (1 - r) ** n if n > 1 else 0.0 for n in in_block])
    _, found = monte_carlo(tree, IndependentUnits(r), 4000, seed=0, unit_of=units.ravel(), z=4.5)
    lowest = tree.node_levels[: tree.latent_count] == 1
    assert ((found.low[lowest] <= chance + 1e-12) & (chance - 1e-12 <= found.high[lowest])).all()


def test_an_interval_reaches_the_end_where_nothing_or_everything_was_seen():
    tree = LatentHierarchy.tree([2, 2])
    everything, _ = monte_carlo(tree, FixedCount(4, 4), 50, seed=0)
    assert (everything.low == 0).all() and (everything.high > 0).all()
    always, _ = monte_carlo(tree, FixedCount(2, 4), 50, seed=0)
    assert always.high[0] == 1 and always.low[0] < 1  # the root is split by any two of four


def weights_of_levels(hierarchy, masks, weights):
    """Share of the hidden observables at each level, lowest first, and last those that share nothing."""
    levels = shared_levels(hierarchy, masks)
    top = hierarchy.node_levels.max()
    counts = [((levels == k) & masks).sum(1) for k in (*range(1, top + 1), 0)]
    return np.array([weights @ count for count in counts]) / (weights @ masks.sum(1))


@pytest.mark.parametrize(("branching", "unit"), [((2, 2, 2), 1), ((4, 3), 1), ((2, 2, 4), 2), ((4, 4), 4), ((2, 6), 3)])
def test_levels_of_hidden_pixels_agree_with_enumeration(branching, unit):
    hierarchy, leaves = LatentHierarchy.tree(branching), math.prod(branching)
    units = leaves // unit
    masks = np.array(list(product([False, True], repeat=units)))
    for law in (*map(IndependentUnits, (0.1, 0.5, 0.75, 1.0)), *(FixedCount(k, units) for k in range(1, units + 1))):
        weights = np.array([law.probability(m, units - m) for m in masks.sum(1)])
        exact = weights_of_levels(hierarchy, np.repeat(masks, unit, axis=1), weights)
        np.testing.assert_allclose(hidden_levels(branching, law, unit), exact, atol=1e-12)


def test_levels_of_hidden_pixels_agree_with_drawn_masks_on_a_16_by_16_quadtree():
    hierarchy = LatentHierarchy.quadtree(16)
    for ratio in RATIOS:
        law = IndependentUnits(ratio)
        masks = law.draw(np.random.default_rng(0), 400, 256)
        drawn = weights_of_levels(hierarchy, masks, np.ones(len(masks)))
        np.testing.assert_allclose(hidden_levels((4,) * 4, law), drawn, atol=0.02)


def test_the_weight_of_a_level_in_the_loss_rises_with_the_ratio_and_is_not_symmetric():
    means = [float(mean_level(hidden_levels((4,) * 4, IndependentUnits(r))[:-1])) for r in RATIOS]
    np.testing.assert_allclose(means, [1.00, 1.02, 1.13, 1.44, 1.94], atol=0.005)
    for r in (0.1, 0.25):
        sinks = [mean_level(expected_sinks((4,) * 4, IndependentUnits(q))) for q in (r, 1 - r)]
        assert sinks[0] == pytest.approx(sinks[1]) and means[RATIOS.index(1 - r)] > means[RATIOS.index(r)] + 0.4


@pytest.mark.parametrize(("n", "r"), [(4, Fraction(3, 4)), (16, Fraction(9, 10)), (2, Fraction(1, 4))])
def test_a_level_is_passed_when_all_else_below_it_is_hidden(n, r):
    above = hidden_levels((3, n), IndependentUnits(float(r)))[1:].sum()
    assert above == pytest.approx(float(r ** (n - 1)), rel=1e-12)


def test_levels_of_nothing_hidden_and_units_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="hides nothing"):
        hidden_levels((2, 2), IndependentUnits(0.0))
    with pytest.raises(ValueError, match="does not fit latents over 4 observables"):
        hidden_levels((3, 4), FixedCount(1, 4), unit=3)
    masks = np.array([[True, False, False], [True, True, True], [False, False, False]])
    graph = LatentHierarchy.tree((3,))
    np.testing.assert_array_equal(shared_levels(graph, masks), [[1, 0, 0], [0, 0, 0], [0, 0, 0]])


def test_on_a_graph_the_lowest_shared_parent_counts():
    """In Figure 2's graph x3 hangs below z3 and z4: hidden with x4, it shares z3, and not z4, with a visible pixel."""
    graph = LatentHierarchy.figure_2()
    masked = np.isin(graph.observables, ["x3", "x4"])
    found = dict(zip(graph.observables, shared_levels(graph, masked[None])[0].tolist()))
    assert found["x3"] == graph.level("z3") and found["x4"] == min(graph.level("z1"), graph.level("z2"))
