"""Theorem 1 on random graphs: brute force over all sets of latents, networkx, and the batch are the judges."""

from itertools import chain, combinations

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mae_lib.theory import LatentHierarchy, locate_shared_information, locate_shared_information_batch
from mae_lib.theory.linear_gaussian import LinearGaussian, rank

quick = settings(max_examples=200, deadline=None, derandomize=True)


def random_hierarchy(rng, most_latents=5, most_observables=6):
    """A DAG with disconnected parts, pixels of any number of parents (none too), latents without pixels below."""
    latents, observables = rng.integers(most_latents + 1), 1 + rng.integers(most_observables)
    z, x = [f"z{i}" for i in range(latents)], [f"x{i}" for i in range(observables)]
    density = rng.choice([0.3, 0.5, 0.7])
    graph = nx.DiGraph()
    graph.add_nodes_from(rng.permutation(z + x).tolist())
    graph.add_edges_from((z[i], z[j]) for i in range(latents) for j in range(i + 1, latents) if rng.random() < density)
    graph.add_edges_from((tail, head) for tail in z for head in x if rng.random() < density)
    graph.remove_nodes_from([node for node in z if graph.degree(node) == 0])
    return LatentHierarchy(graph, observables=x)


def random_masked(seed, **most):
    rng = np.random.default_rng(seed)
    hierarchy = random_hierarchy(rng, **most)
    return hierarchy, frozenset(x for x in hierarchy.observables if rng.random() < 0.5)


# Drawn through a seed: left to choose each edge, hypothesis prefers few of them, and c is empty in most examples.
seeds = st.integers(0, 2**64 - 1)
hierarchies = seeds.map(lambda seed: random_hierarchy(np.random.default_rng(seed)))
masked_hierarchies = seeds.map(random_masked)


def test_a_set_satisfies_conditions_1_and_2_iff_it_lies_between_the_sinks_and_a():
    shared = []

    @settings(quick, max_examples=1500)
    @given(seeds)
    def on_one_graph(seed):
        hierarchy, masked = random_masked(seed)
        found = locate_shared_information(hierarchy, masked)
        model = LinearGaussian(hierarchy, seed, {v: 1 + (seed + i) % 2 for i, v in enumerate(hierarchy.nodes)})
        admissible = model.admissible_sets(masked)
        assert all(found.c <= c <= found.split for c in admissible), seed
        assert len(admissible) == 2 ** len(found.split - found.c), seed
        # Condition 3: c is the only one of its dimension, and no smaller one exists.
        assert [c for c in admissible if model.dim(c) <= model.dim(found.c)] == [found.c], seed
        assert all(model.satisfies(masked, c, found.s_m, found.s_mc) for c in admissible), seed
        shared.append(bool(found.c))

    on_one_graph()
    assert len(shared) >= 1000 and sum(shared) > 500  # otherwise the graphs were too few, or too poor, to judge by


@settings(quick, max_examples=50)
@given(seeds)
def test_s_m_is_the_only_set_of_noises_and_any_recoding_of_it_serves_as_well(seed):
    hierarchy, masked = random_masked(seed, most_latents=3, most_observables=4)
    model, found = LinearGaussian(hierarchy, seed), locate_shared_information(hierarchy, masked)
    nodes = hierarchy.nodes
    sets = chain.from_iterable(combinations(nodes, size) for size in range(len(nodes) + 1))
    assert [set(s) for s in sets if model.satisfies(masked, found.c, s, found.s_mc)] == [found.s_m]
    # Any invertible T: rank and independence are those of s_m itself.
    c, s_m, s_mc = model.loadings(found.c), model.noise(found.s_m), model.noise(found.s_mc)
    recoded = np.random.default_rng(seed).standard_normal((len(s_m), len(s_m))) @ s_m
    x_m = model.loadings(masked)
    assert rank(c, recoded) == rank(x_m) == rank(c, recoded, x_m)
    np.testing.assert_allclose(recoded @ np.vstack([c, s_mc]).T, 0, atol=1e-8)


@quick
@given(masked_hierarchies, st.integers(0, 99))
def test_canonical_correlations_are_zero_or_one_and_the_ones_count_the_noise_of_a(case, seed):
    hierarchy, masked = case
    noise_dim = {v: 1 + (seed + i) % 3 for i, v in enumerate(hierarchy.nodes)}
    correlations = LinearGaussian(hierarchy, seed, noise_dim).canonical_correlations(masked)
    ones = correlations > 0.5
    np.testing.assert_allclose(correlations, ones, atol=1e-7)
    assert ones.sum() == sum(noise_dim[v] for v in locate_shared_information(hierarchy, masked).split)


@quick
@given(masked_hierarchies)
def test_the_definitions_hold_by_networkx_ancestry(case):
    hierarchy, masked = case
    below = {z: nx.descendants(hierarchy.graph, z) & set(hierarchy.observables) for z in hierarchy.latents}
    split = {z for z in hierarchy.latents if below[z] & masked and below[z] - masked}
    found = locate_shared_information(hierarchy, masked)
    assert found.split == split
    assert found.c == {z for z in split if not split & set(hierarchy.graph[z])}
    ancestors = set(masked).union(*(nx.ancestors(hierarchy.graph, x) for x in masked))
    assert found.s_m == ancestors - split == hierarchy.ancestors(masked) - split
    for z in hierarchy.latents:
        assert set(hierarchy.descendant_observables(z)) == below[z]
        assert hierarchy.ancestors([z]) == nx.ancestors(hierarchy.graph, z) | {z}
        assert set(hierarchy.parents(z)) == set(hierarchy.graph.predecessors(z))


@quick
@given(masked_hierarchies)
def test_masking_the_complement_gives_the_same_c_and_swaps_the_rest(case):
    hierarchy, masked = case
    one = locate_shared_information(hierarchy, masked)
    other = locate_shared_information(hierarchy, set(hierarchy.observables) - masked)
    assert (one.c, one.split, one.s_m, one.s_mc) == (other.c, other.split, other.s_mc, other.s_m)


@quick
@given(masked_hierarchies)
def test_every_noise_that_reaches_a_pixel_is_in_exactly_one_place(case):
    hierarchy, masked = case
    found = locate_shared_information(hierarchy, masked)
    assert hierarchy.ancestors(found.c) == found.split
    places = [*found.split, *found.s_m, *found.s_mc]
    assert len(places) == len(set(places))
    assert set(places) == hierarchy.ancestors(hierarchy.observables)


@quick
@given(masked_hierarchies)
def test_a_latent_with_one_child_is_never_in_c(case):
    hierarchy, masked = case
    assert all(len(hierarchy.children(z)) >= 2 for z in locate_shared_information(hierarchy, masked).c)


@quick
@given(hierarchies, st.sampled_from([0, 1, 2, 63, 64, 65, 130]), st.integers(0, 99))
def test_a_batch_gives_what_single_masks_give(hierarchy, count, seed):
    masks = np.random.default_rng(seed).random((count, len(hierarchy.observables))) < 0.5
    batch = locate_shared_information_batch(hierarchy, masks)
    assert len(batch) == count
    shape = (count, len(hierarchy.latents))
    assert batch.c.shape == batch.split.shape == shape
    assert batch.s_m.shape == batch.s_mc.shape == (count, len(hierarchy.nodes))
    for row in range(count):
        masked = [x for x, hidden in zip(hierarchy.observables, masks[row]) if hidden]
        single = locate_shared_information(hierarchy, masked)
        assert batch[row] == single
        for name, columns in (("c", hierarchy.latents), ("s_m", hierarchy.nodes), ("s_mc", hierarchy.nodes)):
            assert {v for v, inside in zip(columns, getattr(batch, name)[row]) if inside} == getattr(single, name)


@quick
@given(hierarchies)
def test_levels_and_order(hierarchy):
    position = {node: i for i, node in enumerate(hierarchy.nodes)}
    assert hierarchy.nodes == hierarchy.latents + hierarchy.observables
    for node in hierarchy.nodes:
        expected = 0 if node in hierarchy.observables else 1
        expected += max((hierarchy.level(child) for child in hierarchy.children(node)), default=0)
        assert hierarchy.level(node) == expected
        assert all(position[parent] < position[node] for parent in hierarchy.parents(node))
