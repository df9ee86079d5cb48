"""A latent tree of discrete variables: a prior for the root, and for every other node a table given its parent.

The maps of Assumption 1 are invertible, so one pixel determines all of its ancestors. Here they need not be: a pixel
carries *part* of the information about its ancestors, counted in bits (`mae_lib.theory.information`).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mae_lib.theory.graph_checks import Node
from mae_lib.theory.hierarchy import LatentHierarchy


class DiscreteTree:
    """P(x) on a tree: `prior` float (states of the root,), `tables[node]` float (states of its parent, states of node).

    Rows sum to 1. Every node of the hierarchy but its root has one parent and one table. Arrays of observables have the
    order of `hierarchy.observables`, and values are numbered from 0.
    Raises ValueError, naming the node, for a graph that is not a tree, and for a table that is missing or does not fit.
    """

    def __init__(self, hierarchy: LatentHierarchy, prior: ArrayLike, tables: Mapping[Node, ArrayLike]):
        self.hierarchy = hierarchy
        self.parent = _parents(hierarchy)
        root, *others = hierarchy.nodes
        if unknown := set(tables) ^ set(others):
            raise ValueError(f"tables must have one entry for each node but the root {root!r}; see {min(unknown)!r}")
        self.prior = _distribution("prior", prior, 1)
        self.tables: list[np.ndarray] = [self.prior[None]]  # by position in `nodes`; the root has one row
        for i, node in enumerate(others, start=1):
            table, states = _distribution(f"tables[{node!r}]", tables[node], 2), self.tables[self.parent[i]].shape[1]
            if len(table) != states:
                raise ValueError(f"tables[{node!r}] has {len(table)} rows: its parent has {states} states")
            self.tables.append(table)

    @classmethod
    def regular(
        cls, branching: Sequence[int], prior: ArrayLike, tables: Sequence[ArrayLike | Sequence[ArrayLike]]
    ) -> "DiscreteTree":
        """On `LatentHierarchy.tree(branching)`: one table per depth, root first, or one per child position.

        `tables[d]`: float (states, child states), or (children, states, child states).
        """
        if len(tables) != len(branching):
            raise ValueError(f"there are {len(tables)} tables for {len(branching)} depths: give one each")
        hierarchy = LatentHierarchy.tree(branching)
        by_child = [np.broadcast_to(t, (b, *np.shape(t)[-2:])) for t, b in zip(tables, branching, strict=True)]
        top = len(branching)
        found = {}
        for i, node in enumerate(hierarchy.nodes):
            for position, child in enumerate(hierarchy.children(node)):
                found[child] = by_child[top - int(hierarchy.node_levels[i])][position]
        return cls(hierarchy, prior, found)

    @cached_property
    def children(self) -> list[np.ndarray]:
        """The positions of each node's children: int (children,) each, none for an observable."""
        return [np.flatnonzero(self.parent == i) for i in range(len(self.tables))]

    @cached_property
    def marginals(self) -> list[np.ndarray]:
        """P(node) for each node: float64 (states,)."""
        found = [self.prior]
        for parent, table in zip(self.parent[1:], self.tables[1:]):
            found.append(found[parent] @ table)
        return found

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Independent draws of the observables: int64 (count, observables)."""
        values = np.zeros((len(self.tables), count), dtype=np.int64)
        for i, (parent, table) in enumerate(zip(self.parent, self.tables)):
            rows = table[values[parent] if i else np.zeros(count, dtype=np.int64)]
            values[i] = (rng.random((count, 1)) > rows.cumsum(1)[:, :-1]).sum(1)
        return values[self.hierarchy.latent_count :].T

    def __repr__(self) -> str:
        return f"DiscreteTree({self.hierarchy!r})"


def _parents(hierarchy: LatentHierarchy) -> np.ndarray:
    """The position of each node's parent, -1 for the root: int64 (nodes,)."""
    found = np.full(len(hierarchy.nodes), -1)
    for i, node in enumerate(hierarchy.nodes):
        above = hierarchy.parents(node)
        if len(above) != (i > 0):
            raise ValueError(f"{node!r} has {len(above)} parents: a tree has one root, and one parent for each other")
        if above:
            found[i] = hierarchy.index(above[0])
    return found


def _distribution(name: str, values: ArrayLike, axes: int) -> np.ndarray:
    found = np.array(values, dtype=float)
    if found.ndim != axes or not found.size:
        raise ValueError(f"{name} has shape {found.shape}: it needs {axes} axes and one state or more")
    if not (found >= 0).all() or not np.allclose(found.sum(-1), 1, rtol=0, atol=1e-9):
        raise ValueError(f"{name} is no probability: its rows must not be negative and must sum to 1")
    return found / found.sum(-1, keepdims=True)
