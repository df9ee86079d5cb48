"""The subtrees of a hierarchy as mask units."""

import networkx as nx
import numpy as np
import pytest

from mae_lib.theory import LatentHierarchy
from mae_lib.theory.mask_levels import sinks_of_targets, sinks_per_level, square_units, subtree_units


@pytest.mark.parametrize("level", [0, 1, 2])
def test_on_a_quadtree_they_are_squares(level):
    np.testing.assert_array_equal(subtree_units(LatentHierarchy.quadtree(8), level), square_units(8, 2**level))


def test_an_uneven_tree_is_cut_at_one_height():
    tree = LatentHierarchy.figure_4()  # z3 over x1-x3 beside z2 over z5 and z6
    assert subtree_units(tree, 1).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert subtree_units(tree, 2).tolist() == [0, 0, 0, 1, 1, 1, 1]
    high = LatentHierarchy(nx.DiGraph({"z1": ["z2", "x0"], "z2": ["x1", "x2"]}))
    assert subtree_units(high, 1).tolist() == [0, 1, 1]  # x0 hangs from the root: a unit of its own


def test_no_latent_within_a_unit_is_ever_split():
    tree, generator = LatentHierarchy.quadtree(8), np.random.default_rng(0)
    for level in (1, 2):
        units = subtree_units(tree, level)
        masks = generator.random((200, units.max() + 1)) < 0.5
        assert not sinks_per_level(tree, masks[:, units])[:, :level].any()


def test_what_has_no_partition_is_refused():
    with pytest.raises(ValueError, match="'z4' has 2 parents"):
        subtree_units(LatentHierarchy.figure_2(), 1)
    with pytest.raises(ValueError, match=r"level is 3: all of .* would be one unit"):
        subtree_units(LatentHierarchy.quadtree(8), 3)


def test_sinks_of_all_that_is_masked_are_those_of_algorithm_1():
    """On any graph; and what is not asked for shares nothing."""
    generator = np.random.default_rng(1)
    for graph in (LatentHierarchy.quadtree(4), LatentHierarchy.figure_2(), LatentHierarchy.figure_4()):
        masks = generator.random((40, len(graph.observables))) < 0.6
        np.testing.assert_array_equal(sinks_of_targets(graph, masks, ~masks), sinks_per_level(graph, masks))
        assert not sinks_of_targets(graph, masks & False, ~masks).any()


def test_targets_far_from_what_is_visible_share_a_higher_level():
    tree = LatentHierarchy.figure_4()  # x4, x5 under z5 and x6, x7 under z6, both under z2, and x1..x3 under z3
    visible, near, far = (np.isin(tree.observables, names)[None] for names in (["x4"], ["x5", "x6"], ["x6", "x1"]))
    assert sinks_of_targets(tree, near, visible).tolist() == [[1, 0, 0]]
    assert sinks_of_targets(tree, far, visible).tolist() == [[0, 1, 0]]
