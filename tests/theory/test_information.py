"""Bits per level against their definition on joint tables, on a thousand random trees, and the identities they obey."""

import networkx as nx
import numpy as np
import pytest
from small_trees import bits_by_definition, entropy, every_mask, joint_of_pixels, random_tree

from mae_lib.theory import LatentHierarchy
from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.grammars import code_grammar, noisy_copies
from mae_lib.theory.information import expected_bits, mask_bits
from mae_lib.theory.mask_levels import FixedCount, IndependentUnits


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_a_thousand_random_trees_agree_with_joint_tables(first):
    for seed in range(first, first + 250):
        rng = np.random.default_rng(seed)
        tree = random_tree(rng)
        masks = rng.random((3, len(tree.hierarchy.observables))) < rng.random()
        wanted = [bits_by_definition(tree, mask) for mask in masks]
        np.testing.assert_allclose(mask_bits(tree, masks).by_level, wanted, atol=1e-10, err_msg=f"seed {seed}")


@pytest.mark.parametrize("seed", range(40))
def test_the_levels_add_up_to_the_mutual_information(seed):
    rng = np.random.default_rng(seed)
    tree = random_tree(rng)
    joint, masks = joint_of_pixels(tree), every_mask(len(tree.hierarchy.observables))
    found = mask_bits(tree, masks)
    for mask, bits, hidden in zip(masks, found.by_level, found.hidden):
        seen = set(np.flatnonzero(~mask).tolist())
        alone = [entropy(joint, {x}) for x in np.flatnonzero(mask).tolist()]
        given = [entropy(joint, seen | {x}) - entropy(joint, seen) for x in np.flatnonzero(mask).tolist()]
        assert bits.sum() == pytest.approx(sum(alone) - sum(given), abs=1e-10)
        assert hidden == pytest.approx(sum(alone), abs=1e-10)


def laws_of(units):
    return [IndependentUnits(r) for r in (0, 0.1, 0.5, 0.75, 1)] + [FixedCount(k, units) for k in range(units + 1)]


def averaged(tree, law, unit_of):
    """The law's expectation from every mask, each with its probability."""
    units = unit_of.max() + 1
    masks = every_mask(units)
    chances = np.array([law.probability(int(k), int(units - k)) for k in masks.sum(1)])
    return chances @ mask_bits(tree, masks[:, unit_of]).by_level


@pytest.mark.parametrize("seed", range(20))
def test_laws_of_masks_are_averages_over_all_masks(seed):
    tree = random_tree(np.random.default_rng(seed))
    unit_of = np.arange(len(tree.hierarchy.observables))
    laws = laws_of(len(unit_of))
    found = expected_bits(tree, laws).by_level
    np.testing.assert_allclose(found, [averaged(tree, law, unit_of) for law in laws], atol=1e-10)


@pytest.mark.parametrize(
    ("unit_of", "units"), [(np.arange(8) // 2, 4), (np.arange(8) // 4, 2), ([0, 0, 1, 1, 2, 2, 2, 2], 3)]
)
def test_units_are_masked_whole(unit_of, units):
    tree, unit_of = code_grammar(8, 2, (2, 2, 2)), np.asarray(unit_of)
    laws = laws_of(units)
    found = expected_bits(tree, laws, unit_of).by_level
    np.testing.assert_allclose(found, [averaged(tree, law, unit_of) for law in laws], atol=1e-10)
    np.testing.assert_allclose(found[:, 0], 0, atol=1e-12)  # no unit is smaller than a level-1 latent


def test_relabelled_states_and_siblings_in_another_order_give_the_same_bits():
    rng = np.random.default_rng(3)
    for seed in range(20):
        tree = random_tree(np.random.default_rng(seed))
        hierarchy = tree.hierarchy
        order = {node: rng.permutation(len(m)) for node, m in zip(hierarchy.nodes, tree.marginals)}
        root, *others = hierarchy.nodes
        tables = {
            node: tree.tables[i][np.ix_(order[hierarchy.parents(node)[0]], order[node])]
            for i, node in enumerate(others, start=1)
        }
        edges = [(node, child) for node in hierarchy.latents for child in reversed(hierarchy.children(node))]
        graph = nx.DiGraph()
        graph.add_nodes_from(rng.permutation(hierarchy.nodes).tolist())
        graph.add_edges_from(edges)
        pixels = rng.permutation(len(hierarchy.observables))
        turned = LatentHierarchy(graph, [hierarchy.observables[x] for x in pixels])
        other = DiscreteTree(turned, tree.prior[order[root]], tables)
        masks = every_mask(len(pixels))
        found = mask_bits(other, masks[:, pixels]).by_level
        np.testing.assert_allclose(found, mask_bits(tree, masks).by_level, atol=1e-10)


def test_a_level_of_certain_copies_gives_nothing_and_moves_the_others_up():
    plain = code_grammar(12, 2, (4, 2))
    masks = every_mask(8)[::5]
    chain = nx.DiGraph(plain.hierarchy.graph)
    for x in plain.hierarchy.observables:
        parent = next(chain.predecessors(x))
        chain.remove_edge(parent, x)
        chain.add_edges_from([(parent, f"copied {x}"), (f"copied {x}", x)])
    hierarchy = LatentHierarchy(chain, plain.hierarchy.observables)
    old = dict(zip(plain.hierarchy.nodes, plain.tables))
    tables = {
        node: np.eye(4) if node in plain.hierarchy.observables else old[node.removeprefix("copied ")]
        for node in hierarchy.nodes[1:]
    }
    found = mask_bits(DiscreteTree(hierarchy, plain.prior, tables), masks).by_level
    np.testing.assert_allclose(found[:, 1:], mask_bits(plain, masks).by_level, atol=1e-10)
    np.testing.assert_allclose(found[:, 0], 0, atol=1e-12)


def test_a_visible_copy_tells_all_of_a_hidden_one():
    tree = code_grammar(12, 2, (4, 4), copies=3)
    mask = np.ones((1, 48), dtype=bool)
    mask[0, 0] = False
    found = mask_bits(tree, mask)
    assert found.by_level[0, 0] == pytest.approx(
        2 * entropy(np.full(2, 0.5), {0})
    )  # its two twins, of two symbols each


def test_nothing_hidden_or_nothing_visible_gives_nothing():
    tree = code_grammar()
    found = mask_bits(tree, np.stack([np.zeros(16, bool), np.ones(16, bool)]))
    np.testing.assert_allclose(found.by_level, 0, atol=1e-12)
    assert found.hidden[0] == 0 and found.hidden[1] > 0 and np.isnan(found.share).all()


def test_one_law_on_one_pixel():
    tree = DiscreteTree(LatentHierarchy(nx.DiGraph([("z", "x")])), [0.5, 0.5], {"x": np.eye(2)})
    found = expected_bits(tree, [IndependentUnits(0.3), FixedCount(1, 1)])
    np.testing.assert_allclose(found.hidden, [0.3, 1])
    np.testing.assert_allclose(found.by_level, 0, atol=1e-12)


def test_more_visible_pixels_never_tell_less_in_all():
    tree = noisy_copies((2, 2), 3, (0.2, 0.1))
    masks = every_mask(4)
    found = mask_bits(tree, masks)
    left = {tuple(m): h - b for m, h, b in zip(masks.tolist(), found.hidden, found.by_level.sum(1))}
    for mask in masks.tolist():
        for x in range(4):
            if mask[x]:
                assert left[(*mask[:x], False, *mask[x + 1 :])] <= left[tuple(mask)] + 1e-12


def test_what_does_not_fit_is_refused():
    tree = code_grammar()
    with pytest.raises(ValueError, match=r"masks are float64 \(1, 16\): give bool \(masks, 16\)"):
        mask_bits(tree, np.zeros((1, 16)))
    with pytest.raises(ValueError, match="laws is empty"):
        expected_bits(tree, [])
    with pytest.raises(ValueError, match="total is 9: there are 16 units"):
        expected_bits(tree, [FixedCount(3, 9)])
    with pytest.raises(TypeError, match="average mask_bits over its masks"):
        expected_bits(tree, [0.5])
    with pytest.raises(ValueError, match="unit 0 of unit_of is not all that is below one node"):
        expected_bits(tree, [IndependentUnits(0.5)], (np.arange(16) + 1) // 4)
    with pytest.raises(ValueError, match="must give each of the 16 observables a unit"):
        expected_bits(tree, [IndependentUnits(0.5)], np.arange(16) * 2)
    with pytest.raises(ValueError, match=r"messages meet at .*: use sampled_bits"):
        expected_bits(code_grammar(noise=0.1), [IndependentUnits(0.5)])
