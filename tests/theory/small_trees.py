"""Random discrete trees, and bits per level by their definition: joint tables, and no belief propagation."""

from itertools import product

import networkx as nx
import numpy as np

from mae_lib.theory import LatentHierarchy
from mae_lib.theory.discrete_tree import DiscreteTree


def random_tree(rng: np.random.Generator, latents: int = 4, pixels: int = 5) -> DiscreteTree:
    """Up to that many nodes of one to three states; chains, states that never occur and certain tables among them."""
    latents = int(rng.integers(1, latents + 1))
    graph = nx.DiGraph()
    graph.add_nodes_from(f"z{i}" for i in range(latents))
    graph.add_edges_from((f"z{rng.integers(i)}", f"z{i}") for i in range(1, latents))
    childless = [z for z in list(graph) if not graph.out_degree(z)]
    wanted = max(len(childless), int(rng.integers(1, pixels + 1)))
    owners = childless + [f"z{rng.integers(latents)}" for _ in range(wanted - len(childless))]
    graph.add_edges_from((owner, f"x{i}") for i, owner in enumerate(owners))
    hierarchy = LatentHierarchy(graph, [f"x{i}" for i in range(wanted)])
    states = {node: int(rng.integers(1, 4)) for node in hierarchy.nodes}
    root, *others = hierarchy.nodes
    tables = {node: random_rows(rng, states[hierarchy.parents(node)[0]], states[node]) for node in others}
    return DiscreteTree(hierarchy, random_rows(rng, 1, states[root])[0], tables)


def random_rows(rng: np.random.Generator, rows: int, states: int) -> np.ndarray:
    kind = rng.integers(3)
    if kind == 0:
        return np.eye(states)[rng.integers(states, size=rows)]
    table = rng.dirichlet(np.ones(states), size=rows)
    if kind == 1:  # few different rows, some of them zero
        table = np.where(table < 0.2, 0, np.ceil(table * 2))
    return table / table.sum(1, keepdims=True)


def joint_of_pixels(tree: DiscreteTree) -> np.ndarray:
    """P(x): an axis for each observable."""
    nodes = range(len(tree.tables))
    operands = [tree.prior, [0]]
    for i in nodes[1:]:
        operands += [tree.tables[i], [int(tree.parent[i]), i]]
    return np.einsum(*operands, list(nodes[tree.hierarchy.latent_count :]))


def entropy(joint: np.ndarray, kept: set[int]) -> float:
    p = joint.sum(axis=tuple(set(range(joint.ndim)) - kept)).ravel()
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def bits_by_definition(tree: DiscreteTree, mask: np.ndarray) -> np.ndarray:
    """(levels,), lowest first, for one mask."""
    hierarchy, joint = tree.hierarchy, joint_of_pixels(tree)
    number = {x: i for i, x in enumerate(hierarchy.observables)}
    bits = np.zeros(hierarchy.node_levels.max())
    for x in np.flatnonzero(mask):
        node, seen = hierarchy.observables[x], set()
        while above := hierarchy.parents(node):
            node = above[0]
            more = {number[v] for v in hierarchy.descendant_observables(node) if not mask[number[v]]}
            before, after = (entropy(joint, v | {x}) - entropy(joint, v) for v in (seen, more))
            bits[hierarchy.level(node) - 1] += before - after
            seen = more
    return bits


def every_mask(pixels: int) -> np.ndarray:
    return np.array(list(product([False, True], repeat=pixels)))
