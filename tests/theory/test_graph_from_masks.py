"""Trees from masks of one and two observables, graphs that no mask tells apart, and the intersections that do."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from mae_lib.theory import LatentHierarchy
from mae_lib.theory.graph_from_masks import (
    common_dimension,
    descendant_dims,
    dims_by_intersection,
    gromov_products,
    mask_estimates,
    random_tree,
    shared_dimension,
    shared_rank,
    tree_from_products,
)
from mae_lib.theory.linear_gaussian import LinearGaussian

PAIRWISE = LatentHierarchy(nx.DiGraph({"a": ["x1", "x2"], "b": ["x2", "x3"], "c": ["x1", "x3"]}), ["x1", "x2", "x3"])
COMMON = LatentHierarchy(nx.DiGraph({"z": ["x1", "x2", "x3"]}))


def observed(instance: LinearGaussian) -> tuple[np.ndarray, list[int]]:
    """The covariance of an instance's observables, and their sizes."""
    loadings = [instance.loadings([x]) for x in instance.hierarchy.observables]
    stacked = np.vstack(loadings)
    return stacked @ stacked.T, [len(x) for x in loadings]


def every_mask(count: int) -> list[frozenset[int]]:
    return [frozenset(m) for size in range(count + 1) for m in combinations(range(count), size)]


def random_dag(rng: np.random.Generator) -> LatentHierarchy:
    """Up to five latents over four or five observables, each node with one or more parents among those above it."""
    latents = [f"z{i}" for i in range(rng.integers(2, 6))]
    observables = [f"x{i}" for i in range(rng.integers(4, 6))]
    graph = nx.DiGraph()
    graph.add_nodes_from(observables)
    for i, z in enumerate(latents):
        graph.add_edges_from((latents[p], z) for p in rng.permutation(i)[: rng.integers(0, 3)])
    for x in observables:
        graph.add_edges_from((z, x) for z in rng.choice(latents, size=rng.integers(1, 3), replace=False))
    graph.remove_nodes_from([z for z in latents if z in graph and graph.degree(z) == 0])
    return LatentHierarchy(graph, observables)


def test_200_random_trees_come_back_from_masks_of_one_and_two_observables():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        tree = random_tree(rng, int(rng.integers(2, 13)))
        noise = {z: int(rng.integers(1, 4)) for z in tree.latents}
        asked = []

        def f(masked, tree=tree, noise=noise, asked=asked):
            asked.append(len(masked))
            return shared_dimension(tree, masked, noise)

        found, dims = tree_from_products(gromov_products(f, len(tree.observables)))
        assert descendant_dims(found, dims) == descendant_dims(tree, noise)
        assert max(asked) <= 2 and all(len(found.children(z)) >= 2 for z in found.latents)


def test_trees_come_back_from_covariances_alone():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tree = random_tree(rng, int(rng.integers(3, 8)))
        noise = {z: int(rng.integers(1, 3)) for z in tree.latents}
        covariance, sizes = observed(LinearGaussian(tree, seed, noise_dim=noise))
        found = tree_from_products(gromov_products(lambda m: shared_rank(covariance, sizes, m), len(sizes)))  # noqa: B023
        assert descendant_dims(*found) == descendant_dims(tree, noise)


def test_a_forest_and_observables_that_share_nothing_come_back():
    graph = nx.DiGraph({"r": ["s", "x1"], "s": ["x2", "x3"], "t": ["x4", "x5"]})
    graph.add_node("x6")
    forest = LatentHierarchy(graph, [f"x{i}" for i in range(1, 7)])
    found, noise = tree_from_products(gromov_products(lambda m: shared_dimension(forest, m), 6))
    assert descendant_dims(found, noise) == descendant_dims(forest)
    assert found.parents("x6") == ()


def test_a_latent_with_one_child_is_counted_with_that_child():
    chain = LatentHierarchy(nx.DiGraph({"z1": ["z2", "x1"], "z2": ["z3"], "z3": ["x2", "x3"]}), ["x1", "x2", "x3"])
    found, noise = tree_from_products(gromov_products(lambda m: shared_dimension(chain, m), 3))
    assert descendant_dims(found, noise) == {frozenset({0, 1, 2}): 1, frozenset({1, 2}): 2}


def test_the_shared_rank_is_the_number_of_unit_canonical_correlations():
    for seed, graph in enumerate((LatentHierarchy.figure_1(), LatentHierarchy.figure_2(), LatentHierarchy.figure_4())):
        instance = LinearGaussian(graph, seed, noise_dim={graph.latents[0]: 2})
        covariance, sizes = observed(instance)
        for masked in every_mask(len(sizes))[1:-1]:
            ones = instance.canonical_correlations(graph.observables[i] for i in masked) > 1 - 1e-6
            dims = shared_dimension(graph, masked, {graph.latents[0]: 2})
            assert shared_rank(covariance, sizes, masked) == ones.sum() == dims


def test_two_graphs_agree_on_all_masks_and_their_intersections_do_not():
    common_noise = {"z": 2}
    for masked in every_mask(3):
        assert shared_dimension(PAIRWISE, masked) == shared_dimension(COMMON, masked, common_noise)
    for seed in range(5):
        pairwise = observed(LinearGaussian(PAIRWISE, seed))
        common = observed(LinearGaussian(COMMON, seed, noise_dim=common_noise))
        for pair in combinations(range(3), 2):
            assert common_dimension([mask_estimates(*pairwise)[i] for i in pair]) == 1
            assert common_dimension([mask_estimates(*common)[i] for i in pair]) == 2


def test_intersections_tell_how_much_lies_above_exactly_each_set():
    tried = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph = random_dag(rng)
        noise = {z: int(rng.integers(1, 3)) for z in graph.latents}
        found = dims_by_intersection(*observed(LinearGaussian(graph, seed, noise_dim=noise)))
        assert found == descendant_dims(graph, noise)
        tried += any(len(graph.parents(v)) > 1 for v in graph.nodes)
    assert tried > 20  # most of them are no trees


def test_an_edge_between_latents_may_be_invisible():
    """z1 above all pixels of z2, with or without the edge z1 -> z2: the sets, and so every mask, are the same."""
    with_edge = LatentHierarchy(nx.DiGraph({"z1": ["z2", "x1", "x2", "x3"], "z2": ["x1", "x2"]}), ["x1", "x2", "x3"])
    without = LatentHierarchy(nx.DiGraph({"z1": ["x1", "x2", "x3"], "z2": ["x1", "x2"]}), ["x1", "x2", "x3"])
    assert descendant_dims(with_edge) == descendant_dims(without)


def test_products_of_no_tree_are_refused_by_name():
    ring = LatentHierarchy(nx.DiGraph({"a": ["x1", "x2"], "b": ["x2", "x3"], "c": ["x3", "x4"]}))
    with pytest.raises(ValueError, match="x1 and x3 share 0, but each shares more with x2"):
        tree_from_products(gromov_products(lambda m: shared_dimension(ring, m), 4))
    with pytest.raises(ValueError, match="odd number"):
        tree_from_products([[2, 1], [1, 2]])
    with pytest.raises(ValueError, match="symmetric"):
        tree_from_products([[2, 1], [0, 2]])
    with pytest.raises(ValueError, match="13 observables"):
        dims_by_intersection(np.eye(13), [1] * 13)
    with pytest.raises(ValueError, match="add up to 4"):
        shared_rank(np.eye(3), [2, 2], [0])
