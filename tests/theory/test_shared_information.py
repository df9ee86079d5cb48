"""Theorem 1 on small graphs: Figure 4, the edge cases, the definitions that differ, and masks that are refused."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from mae_lib.theory import (
    LatentHierarchy,
    algorithm_1,
    algorithm_2,
    locate_shared_information,
    locate_shared_information_batch,
)
from mae_lib.theory.linear_gaussian import LinearGaussian


def dag(edges, observables=None):
    """'z1>x1,x2 z2>x3' as a hierarchy."""
    pairs = (part.split(">") for part in edges.split())
    return LatentHierarchy(nx.DiGraph({tail: heads.split(",") for tail, heads in pairs}), observables)


@pytest.mark.parametrize(
    ("masked", "c"),
    [("x1", {"z3"}), ("x1 x2 x3 x4 x5 x6", {"z6"}), ("x1 x2 x3", {"z1"})],
    ids=["conservative", "aggressive", "ideal"],
)
def test_figure_4(masked, c):
    found = locate_shared_information(LatentHierarchy.figure_4(), masked.split())
    assert found.c == c


def test_figure_4_conservative_in_full():
    found = locate_shared_information(LatentHierarchy.figure_4(), ["x1"])
    assert found.split == {"z1", "z3"}
    assert found.s_m == {"x1"}
    assert found.s_mc == {"z2", "z5", "z6", *(f"x{i}" for i in range(2, 8))}


def test_the_two_algorithms_stand_on_their_own():
    hierarchy = LatentHierarchy.figure_4()
    masked, visible = frozenset({"x1", "x2"}), frozenset({"x3", "x4", "x5", "x6", "x7"})
    found = locate_shared_information(hierarchy, masked)
    assert algorithm_1(hierarchy, masked, visible) == (found.c, found.s_m)
    assert algorithm_2(hierarchy, masked, visible) == found.s_mc


def test_components_contribute_each_their_own_c():
    hierarchy = dag("a>x1,x2 b>x3,x4")
    assert locate_shared_information(hierarchy, ["x1", "x3"]).c == {"a", "b"}
    assert locate_shared_information(hierarchy, ["x1"]).c == {"a"}


@pytest.mark.parametrize("masked", [[], ["x1", "x2", "x3", "x4"], ["x1", "x2"]], ids=["none", "all", "a component"])
def test_nothing_is_shared_where_no_latent_is_split(masked):
    hierarchy = dag("a>x1,x2 b>x3,x4")
    found = locate_shared_information(hierarchy, masked)
    assert found.c == found.split == frozenset()
    assert found.s_m == hierarchy.ancestors(masked)
    assert found.s_m | found.s_mc == set(hierarchy.nodes)


def test_of_a_pixels_parents_only_the_split_ones_matter():
    hierarchy = dag("a>x1,x2 b>x1")
    found = locate_shared_information(hierarchy, ["x1"])
    assert found.c == {"a"}
    assert found.s_m == {"b", "x1"}


def test_a_latent_with_one_child_is_passed_over():
    assert locate_shared_information(dag("a>b b>x1,x2"), ["x1"]).c == {"b"}


def test_a_latent_without_observable_descendants_is_in_no_set():
    hierarchy = dag("a>x1,x2,w", observables=["x1", "x2"])
    found = locate_shared_information(hierarchy, ["x1"])
    assert "w" not in found.c | found.split | found.s_m | found.s_mc
    batch = locate_shared_information_batch(hierarchy, np.array([[True, False]]))
    assert batch[0] == found


def test_a_hierarchy_without_latents_shares_nothing():
    graph = nx.DiGraph()
    graph.add_nodes_from(["x1", "x2"])
    hierarchy = LatentHierarchy(graph)
    assert locate_shared_information(hierarchy, ["x1"]).s_m == {"x1"}
    batch = locate_shared_information_batch(hierarchy, np.array([[True, False]]))
    assert batch.c.shape == (1, 0)
    assert batch[0] == locate_shared_information(hierarchy, ["x1"])


def least_cuts(hierarchy, masked):
    """Every smallest set of latents whose removal parts masked from visible pixels in the undirected graph."""
    visible = set(hierarchy.observables) - set(masked)
    for size in range(len(hierarchy.latents) + 1):
        cuts = []
        for cut in combinations(hierarchy.latents, size):
            rest = nx.restricted_view(hierarchy.graph.to_undirected(), cut, [])
            if not any(nx.has_path(rest, m, v) for m in masked for v in visible):
                cuts.append(set(cut))
        if cuts:
            return cuts


@pytest.mark.parametrize(
    ("edges", "masked", "cuts", "valid_cuts", "c"),
    [
        ("z0>z1,z2 z1>x1,x2 z2>x3,x4", ["x1", "x2"], [{"z0"}, {"z1"}, {"z2"}], [{"z0"}], {"z0"}),
        ("z1>z2,x1,x2 z2>x3,x4", ["x1", "x3"], [{"z1", "z2"}], [{"z1", "z2"}], {"z2"}),
        ("t1>u,x2 t2>u,x3 u>x1", ["x1"], [{"u"}], [], {"t1", "t2"}),
    ],
    ids=["not unique", "not the sinks", "not visible"],
)
def test_a_minimum_vertex_cut_is_another_thing(edges, masked, cuts, valid_cuts, c):
    hierarchy = dag(edges)
    assert least_cuts(hierarchy, masked) == cuts
    assert locate_shared_information(hierarchy, masked).c == c
    assert [cut for cut in cuts if LinearGaussian(hierarchy).admits(cut, masked)] == valid_cuts


def test_an_upward_search_without_pruning_finds_too_much():
    hierarchy, masked = dag("z1>z2,z3 z2>x1,x2 z3>x3,x4"), ["x1", "x3", "x4"]
    split = locate_shared_information(hierarchy, masked).split
    found, frontier = set(), list(masked)
    while frontier:
        node = frontier.pop()
        found |= {node} & split
        frontier += [] if node in split else hierarchy.parents(node)
    assert found == {"z1", "z2"}
    assert locate_shared_information(hierarchy, masked).c == {"z2"}


def test_c_need_not_d_separate_because_invertibility_tells_more():
    # Given the collider z, a and b are dependent in general; here z determines both.
    hierarchy, masked = dag("a>z,x1 b>z,x4 z>x2,x3"), ["x1", "x2"]
    c = locate_shared_information(hierarchy, masked).c
    assert c == {"z"}
    assert not nx.is_d_separator(hierarchy.graph, set(masked), {"x3", "x4"}, set(c))
    assert LinearGaussian(hierarchy).admits(c, masked)


@pytest.mark.parametrize(
    ("masked", "message"),
    [
        (["x1", "z5"], "'z5' is latent: only observables can be masked; below it lie 'x4', 'x5'"),
        (["x 1"], "'x 1' is not an observable .*: the nearest is 'x1'"),
        ([3], "3 is not an observable .*: the nearest is 'x3'"),
        ("x1", r"masked is the string 'x1'.* such as \['x1'\]"),
    ],
)
def test_a_name_that_cannot_be_masked_is_refused(masked, message):
    with pytest.raises(ValueError, match=message):
        locate_shared_information(LatentHierarchy.figure_4(), masked)


@pytest.mark.parametrize(
    "masks",
    [np.zeros((2, 6), bool), np.zeros(7, bool), np.zeros((2, 7), int), np.zeros((2, 7, 1), bool), []],
    ids=["columns", "one mask", "dtype", "axes", "list"],
)
def test_masks_of_another_shape_or_dtype_are_refused(masks):
    with pytest.raises(ValueError, match=r"it must be bool \(masks, 7\), True = masked"):
        locate_shared_information_batch(LatentHierarchy.figure_4(), masks)


def test_rows_of_a_batch_end_where_the_masks_end():
    hierarchy = LatentHierarchy.figure_4()
    batch = locate_shared_information_batch(hierarchy, np.eye(7, dtype=bool))
    assert [row.c for row in batch] == [{"z3"}] * 3 + [{"z5"}] * 2 + [{"z6"}] * 2
    assert batch[-1] == batch[6]
    with pytest.raises(IndexError):
        batch[7]


def test_masks_in_any_memory_order_are_read_alike():
    hierarchy = LatentHierarchy.tree((3, 4))
    masks = np.random.default_rng(0).random((70, 12)) < 0.5
    expected = locate_shared_information_batch(hierarchy, masks).c
    np.testing.assert_array_equal(locate_shared_information_batch(hierarchy, np.asfortranarray(masks)).c, expected)
    every_other = np.repeat(masks, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(locate_shared_information_batch(hierarchy, every_other).c, expected)
    assert expected.any(), "an empty c would prove nothing"


@pytest.mark.parametrize("mask", [np.array([True, False, False]), [True, False, False], (np.bool_(1), False)])
def test_a_mask_is_not_read_as_the_names_one_and_zero(mask):
    hierarchy = LatentHierarchy(nx.DiGraph({"z": [0, 1, 2]}))
    for misread in (
        lambda: locate_shared_information(hierarchy, mask),
        lambda: hierarchy.ancestors(mask),
        lambda: hierarchy.parents(mask[0]),
        lambda: LatentHierarchy(hierarchy.graph, mask),
        lambda: LinearGaussian(hierarchy).admits(["z"], mask),
        lambda: LinearGaussian(hierarchy).dim(mask),
    ):
        with pytest.raises(ValueError, match=r"locate_shared_information_batch|is not a node"):
            misread()
    assert locate_shared_information(hierarchy, [1, 0]).c == {"z"}
    assert locate_shared_information(hierarchy, np.array([1, 0])).c == {"z"}
    with pytest.raises(ValueError, match="a node is named True, which is the name 1 as well"):
        LatentHierarchy(nx.DiGraph({"z": [True, 2]}))


@pytest.mark.parametrize(
    ("hierarchy", "share"), [(LatentHierarchy.figure_4(), 0.73), (LatentHierarchy.tree((2, 2, 2, 2)), 0.997)]
)
def test_most_masks_have_several_sinks_which_share_the_root(hierarchy, share):
    """So c seldom fills as many dimensions as it has; the noises of A do, and the theorems speak of them."""
    count = len(hierarchy.observables)
    masks = (np.arange(1, 2**count - 1)[:, None] >> np.arange(count) & 1).astype(bool)
    several = locate_shared_information_batch(hierarchy, masks).c.sum(1) > 1
    assert several.mean() == pytest.approx(share, abs=0.005)
