"""Tree discovery: exact distances give back random trees, samples give back the world's, and Robinson-Foulds is one."""

import math

import networkx as nx
import numpy as np
import pytest
import torch

from mae_lib.limits.latent_tree import (
    bipartitions,
    discover_tree,
    exact_distances,
    recursive_grouping,
    robinson_foulds,
    rooted,
    sample_distances,
    shared_variance,
)
from mae_lib.theory import LatentHierarchy
from mae_lib.theory.linear_gaussian import LinearGaussian
from mae_lib.training.mae import patchify
from mae_lib.worlds import make_world


def random_tree(leaves: int, seed: int) -> nx.Graph:
    """A tree without latents of fewer than three neighbours: leaves grow on a star, on its edges or on its latents."""
    generator = np.random.default_rng(seed)
    tree, latent = nx.Graph([(("h", 0), i) for i in range(3)]), 1
    for leaf in range(3, leaves):
        if generator.random() < 0.5:
            a, b = list(tree.edges)[generator.integers(tree.number_of_edges())]
            tree.remove_edge(a, b)
            stem = ("h", latent)
            tree.add_edges_from([(a, stem), (stem, b), (stem, leaf)])
            latent += 1
        else:
            inner = [node for node in tree if isinstance(node, tuple)]
            tree.add_edge(inner[generator.integers(len(inner))], leaf)
    return tree


def parts_by_removal(tree: nx.Graph, leaves: set) -> set[frozenset]:
    """The judge: what networkx finds apart when an edge is gone."""
    found = set()
    for edge in tree.edges:
        rest = nx.restricted_view(tree, [], [edge])
        side = leaves & next(c for c in nx.connected_components(rest) if 0 not in c)
        if 1 < len(side) < len(leaves) - 1:
            found.add(frozenset(side))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_random_gaussian_trees_come_back_from_their_covariance(seed):
    """A scalar at every node; the correlation of two leaves is the product of those on the path between them."""
    count = 4 + seed % 14
    tree, generator = random_tree(count, seed), np.random.default_rng(100 + seed)
    for _, _, edge in tree.edges(data=True):
        edge["length"] = -math.log(generator.uniform(0.4, 0.9))
    paths = dict(nx.all_pairs_dijkstra_path_length(tree, weight="length"))
    signs = generator.choice([-1, 1], count)
    covariance = np.array([[math.exp(-paths[i][j]) * signs[i] * signs[j] for j in range(count)] for i in range(count)])
    covariance *= np.outer(*[generator.uniform(0.5, 2, count)] * 2)
    found = recursive_grouping(exact_distances(covariance, [1] * count))
    assert parts_by_removal(found, set(range(count))) == parts_by_removal(tree, set(range(count)))
    lengths = dict(nx.all_pairs_dijkstra_path_length(found, weight="length"))
    np.testing.assert_allclose(
        [[lengths[i][j] for j in range(count)] for i in range(count)],
        [[paths[i][j] for j in range(count)] for i in range(count)],
        atol=1e-6,
    )


@pytest.mark.parametrize("seed", range(6))
def test_vectors_of_assumption_1_come_back_too(seed):
    """Leaves that determine their ancestors: distances are differences of log dimensions along the path."""
    tree = nx.bfs_tree(random_tree(9, seed), ("h", 0))
    hierarchy = LatentHierarchy(tree, range(9))
    instance = LinearGaussian(hierarchy, seed)
    leaves = [instance.loadings([x]) for x in hierarchy.observables]
    stacked, dims = np.vstack(leaves), [len(leaf) for leaf in leaves]
    distances = exact_distances(stacked @ stacked.T, dims)
    common = lambda i, j: nx.lowest_common_ancestor(tree, i, j)  # noqa: E731
    size = {v: len(instance.loadings([v])) for v in tree}
    for i in range(9):
        for j in range(i):
            wanted = 0.5 * (math.log(size[i] * size[j]) / 2 - math.log(size[common(i, j)]))
            assert distances[i, j] == pytest.approx(wanted, abs=1e-6)
    assert robinson_foulds(rooted(recursive_grouping(distances)), hierarchy) == 0


def test_shared_variance_counts_what_is_shared():
    """Two variables with two numbers in common, one of them behind an invertible map."""
    random = np.random.default_rng(0)
    source = np.eye(8)
    one, other = source[[0, 1, 2, 3]], random.normal(size=(4, 4)) @ source[[2, 3, 4, 5]]
    shared, ranks = shared_variance(np.vstack([one, other]) @ np.vstack([one, other]).T, [4, 4])
    np.testing.assert_allclose(shared, [[4, 2], [2, 4]], atol=1e-9)
    assert ranks.tolist() == [4, 4]


def test_unrelated_variables_share_nothing_but_chance():
    x = np.random.default_rng(0).normal(size=(400, 3, 10))
    distances = sample_distances(x, draws=0)[0]
    assert distances[~np.eye(3, dtype=bool)].min() > 1.0  # the same noise: 0
    x[:, 1] = x[:, 0]
    assert abs(sample_distances(x, draws=0)[0, 0, 1]) < 0.2


WORLD = make_world("invertible_tree", depth=2, root_dim=12, slope=0.5, shuffle=0)


def patches(count: int) -> np.ndarray:
    return patchify(WORLD.sample(torch.arange(count), "probe").images, 4).double().numpy()


def test_the_scattered_tree_is_found_from_images_with_its_root():
    found = discover_tree(patches(600), draws=4)
    assert robinson_foulds(found, WORLD.hierarchy) == 0
    assert [found.level(z) for z in found.latents] == [2, 1, 1, 1, 1]
    assert found.observables == tuple(f"x_{i}" for i in range(16))


def test_the_same_data_gives_the_same_tree():
    x = patches(200)
    one, other = (recursive_grouping(sample_distances(x, draws=4, seed=1), 0.01) for _ in range(2))
    assert nx.utils.graphs_equal(one, other)


def test_images_without_a_tree_give_a_star():
    found = discover_tree(np.random.default_rng(0).normal(size=(500, 8, 4)), draws=8)
    assert len(found.latents) == 1


def test_what_is_too_little_is_refused():
    with pytest.raises(ValueError, match="more samples than two variables"):
        sample_distances(patches(96))
    with pytest.raises(ValueError, match="three at least"):
        recursive_grouping(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="trees of 16 and 64 leaves"):
        robinson_foulds(WORLD.hierarchy, LatentHierarchy.quadtree(8))


# Robinson-Foulds


def hierarchy_of(seed: int, root=0) -> LatentHierarchy:
    tree = random_tree(10, seed)
    inner = sorted(node for node in tree if isinstance(node, tuple))
    return LatentHierarchy(nx.bfs_tree(tree, inner[root % len(inner)]), range(10))


def test_bipartitions_are_what_removing_edges_parts():
    for seed in range(10):
        assert bipartitions(hierarchy_of(seed)) == parts_by_removal(random_tree(10, seed), set(range(10)))


def test_it_is_a_metric_that_does_not_see_the_root():
    trees = [hierarchy_of(seed) for seed in range(6)]
    for a in trees:
        assert robinson_foulds(a, a) == 0
        for b in trees:
            assert robinson_foulds(a, b) == robinson_foulds(b, a) <= 1
            plain = lambda one, other: len(bipartitions(one) ^ bipartitions(other))  # noqa: E731
            assert all(plain(a, c) <= plain(a, b) + plain(b, c) for c in trees)
    assert robinson_foulds(hierarchy_of(3), hierarchy_of(3, root=2)) == 0
    star = LatentHierarchy(nx.DiGraph({"h": range(10)}), range(10))
    assert robinson_foulds(star, star) == 0
    assert robinson_foulds(star, next(t for t in trees if bipartitions(t))) == 1
