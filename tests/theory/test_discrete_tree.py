"""Discrete trees: marginals and draws against joint tables, and what is refused."""

import networkx as nx
import numpy as np
import pytest
from small_trees import joint_of_pixels, random_tree

from mae_lib.theory import LatentHierarchy
from mae_lib.theory.discrete_tree import DiscreteTree


def test_marginals_and_draws_are_those_of_the_joint_table():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        tree = random_tree(rng)
        joint, first = joint_of_pixels(tree), tree.hierarchy.latent_count
        draws = tree.sample(4000, rng)
        assert draws.shape == (4000, joint.ndim)
        for x in range(joint.ndim):
            wanted = joint.sum(tuple(set(range(joint.ndim)) - {x}))
            np.testing.assert_allclose(tree.marginals[first + x], wanted, atol=1e-12)
            shares = np.bincount(draws[:, x], minlength=len(wanted)) / len(draws)
            assert (np.abs(shares - wanted) <= 4.5 * np.sqrt(wanted * (1 - wanted) / len(draws))).all()
        assert (joint[tuple(draws.T)] > 0).all()


def test_a_regular_tree_takes_a_table_a_depth_or_one_a_child():
    tree = DiscreteTree.regular((2, 2), [0.5, 0.5], [np.eye(2), [np.eye(2), 1 - np.eye(2)]])
    images = tree.sample(50, np.random.default_rng(0))
    np.testing.assert_array_equal(images, np.stack([z := images[:, 0], 1 - z, z, 1 - z], 1))


@pytest.mark.parametrize(
    ("edges", "prior", "tables", "message"),
    [
        ([("a", "x"), ("b", "x")], [1], {"b": [[1]], "x": [[1]]}, "'b' has 0 parents: a tree has one root"),
        ([("a", "b"), ("a", "x"), ("b", "x")], [1], {"b": [[1]], "x": [[1]]}, "'x' has 2 parents"),
        ([("a", "x")], [1], {}, "one entry for each node but the root 'a'; see 'x'"),
        ([("a", "x")], [0.5, 0.5], {"x": [[1]]}, r"tables\['x'\] has 1 rows: its parent has 2 states"),
        ([("a", "x")], [0.5, 0.6], {"x": [[1], [1]]}, "prior is no probability"),
        ([("a", "x")], [1], {"x": [1]}, r"tables\['x'\] has shape \(1,\): it needs 2 axes"),
        ([("a", "x")], [1], {"x": [[-1, 2]]}, r"tables\['x'\] is no probability"),
    ],
)
def test_what_is_no_tree_or_no_table_is_refused(edges, prior, tables, message):
    with pytest.raises(ValueError, match=message):
        DiscreteTree(LatentHierarchy(nx.DiGraph(edges)), prior, tables)
    with pytest.raises(ValueError, match="1 tables for 2 depths"):
        DiscreteTree.regular((2, 2), [1], [np.eye(1)])
