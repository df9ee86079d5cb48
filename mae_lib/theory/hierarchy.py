"""The latent hierarchy of Assumption 1: a directed acyclic graph of latents over observables, checked once.

Regular trees are kept as arrays (children in compressed rows, nodes in topological order, one contiguous run per
level), so that a quadtree over 4^10 pixels is built in a tenth of a second and one sweep up its levels costs
milliseconds. Graphs with their own names are kept as lists, which suffice for questions about single nodes, even
without numpy. Arrays, names and the networkx graph are created on first use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Self

from mae_lib.theory.graph_checks import Node, adjacency, checked_observables, is_truth, levels, names_in, positive
from mae_lib.theory.later import Later

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
else:
    np, nx = Later("numpy"), Later("networkx")


class LatentHierarchy:
    """G = (Z ∪ X, E) of Section 2.1: latents Z, observables X without children, no edge between observables.

    graph: any networkx.DiGraph, whose nodes' attribute `dim` is the dimension of their variables (1 by default), or a
    dict of children such as `{"z1": ["x1", "x2"]}`.
    observables: their names in the order that masks use; by default the nodes without children, in the graph's order.

    `nodes` are ordered: latents first, parents before children, then the observables; every array here has this order.
    Raises ValueError, naming the node, for a cycle, an observable with children, an edge between observables, an
    isolated latent, an unknown or repeated observable, a dim that is not a positive integer, or an empty graph;
    TypeError for a graph that is not directed.
    """

    def __init__(self, graph: nx.DiGraph | Mapping[Node, Iterable[Node]], observables: Iterable[Node] | None = None):
        children, dims = adjacency(graph)
        observables = checked_observables(children, observables)
        level = levels(children, set(observables))
        latents = [node for node in children if level[node] > 0]
        # Latents without children have nothing to gather: they follow the others, so that no row is empty.
        latents.sort(key=lambda node: -level[node] if children[node] else 0)
        self.nodes = (*latents, *observables)
        index = {node: i for i, node in enumerate(self.nodes)}
        self._rows = [[index[child] for child in children[node]] for node in latents if children[node]]
        self._levels, self._dims = [level[node] for node in self.nodes], [dims[node] for node in self.nodes]
        self.latent_count = len(latents)
        self._given = children
        if not isinstance(graph, Mapping):
            self.graph = nx.freeze(nx.DiGraph(graph))

    @classmethod
    def tree(cls, branching: Sequence[int], dims: Sequence[int] | None = None) -> Self:
        """The regular tree with `branching[0]` children at the root, `branching[1]` a level below, and so on.

        Latents are named `z{level}_{position}` (the root of a tree of L levels is `zL_0`), observables `x_{position}`.
        dims: the dimension of each level's variables, root first, one entry more than `branching`; 1 by default.
        """
        branching = [positive("branching", b) for b in branching]
        if not branching:
            raise ValueError("branching is empty: a tree needs the number of the root's children, such as (2, 3)")
        counts = [math.prod(branching[:depth]) for depth in range(len(branching) + 1)]
        blocks = [np.arange(below).reshape(here, -1) for here, below in zip(counts[:-1], counts[1:], strict=True)]
        return cls._regular(blocks, partial(_tree_names, counts), dims)

    @classmethod
    def quadtree(cls, side: int, dims: Sequence[int] | None = None) -> Self:
        """The tree of 2 x 2 blocks over side x side pixels; side is a power of two, 2 or more.

        Pixels are `x_{row}_{column}`, in row-major order; latents `z{level}_{row}_{column}`, each over a square of
        2^level pixels a side. dims as in `tree`.
        """
        side = positive("side", side)
        if side < 2 or side & (side - 1):
            raise ValueError(f"side is {side}: a quadtree needs a power of two, 2 or more")
        sides = [1 << depth for depth in range(side.bit_length())]
        blocks = [np.arange(4 * s * s).reshape(s, 2, s, 2).swapaxes(1, 2).reshape(-1, 4) for s in sides[:-1]]
        return cls._regular(blocks, partial(_quadtree_names, sides), dims)

    @classmethod
    def figure_1(cls) -> Self:
        """A small instance of Figure 1's caption: z1 (semantics) over z2, z3 and z4 (texture), two pixels under each.

        The drawing itself is not available, so the number of pixels is ours.
        """
        return cls({"z1": ["z2", "z3", "z4"], "z2": ["x1", "x2"], "z3": ["x3", "x4"], "z4": ["x5", "x6"]})

    @classmethod
    def figure_2(cls) -> Self:
        """A small instance of Figure 2's caption, "arbitrary DAGs in the latent space".

        Two roots, a shared child (z4), an edge between their other children (z3 -> z5), a pixel with two parents (x3)
        and an edge past a level (z2 -> x6). The drawing itself is not available, so these edges are ours.
        """
        z = {"z1": ["z3", "z4"], "z2": ["z4", "z5", "x6"], "z3": ["x1", "x2", "x3", "z5"]}
        z |= {"z4": ["x3", "x4"], "z5": ["x5", "x6"]}
        return cls(z, observables=[f"x{i}" for i in range(1, 7)])

    @classmethod
    def figure_4(cls) -> Self:
        """An instance of Figure 4 that fits its caption and text; the drawing is not available.

        z1 over z2 and z3, z2 over z5 and z6, seven pixels x1..x7 (x1 to x3 under z3).
        """
        z = {"z1": ["z2", "z3"], "z2": ["z5", "z6"], "z3": ["x1", "x2", "x3"], "z5": ["x4", "x5"], "z6": ["x6", "x7"]}
        return cls(z, observables=[f"x{i}" for i in range(1, 8)])

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every name: latents, parents before children, then observables."""
        return self._name_all()

    @cached_property
    def latents(self) -> tuple[Node, ...]:
        """Z, higher levels first: `nodes[:len(latents)]`."""
        return self.nodes[: self.latent_count]

    @cached_property
    def observables(self) -> tuple[Node, ...]:
        """X, in the order of a mask's columns: `nodes[len(latents):]`."""
        return self.nodes[self.latent_count :]

    @cached_property
    def graph(self) -> nx.DiGraph:
        """A frozen networkx copy, with the attribute `dim` on each node."""
        graph = nx.DiGraph(self._given)
        graph.add_nodes_from((node, {"dim": int(dim)}) for node, dim in zip(self.nodes, self._dims, strict=True))
        graph.add_edges_from((self.nodes[i], self.nodes[j]) for i, row in enumerate(self._rows) for j in row)
        return nx.freeze(graph)

    @cached_property
    def child_ptr(self) -> np.ndarray:
        """Row i of the compressed rows lists the children of node i; nodes past the last row have none."""
        return _array([0, *accumulate(map(len, self._rows))])

    @cached_property
    def child_index(self) -> np.ndarray:
        """The rows, concatenated."""
        return _array(list(chain.from_iterable(self._rows)))

    @cached_property
    def node_levels(self) -> np.ndarray:
        """`level` of every node: int64 (nodes,)."""
        return _array(self._levels)

    @cached_property
    def node_dims(self) -> np.ndarray:
        """`dim` of every node: int64 (nodes,)."""
        return _array(self._dims)

    def index(self, node: Node) -> int:
        """The position of `node` in `nodes`; ValueError for a name that is not in the hierarchy."""
        try:
            if not is_truth(node):
                return self._index[node]
        except (KeyError, TypeError):
            pass
        raise ValueError(f"{node!r} is not a node of {self!r}")

    def parents(self, node: Node) -> tuple[Node, ...]:
        """Pa(node)."""
        return self._names(self._parents[self.index(node)])

    def children(self, node: Node) -> tuple[Node, ...]:
        """The nodes that have `node` as a parent; none for an observable."""
        return self._names(self._children(self.index(node)))

    def ancestors(self, nodes: Iterable[Node]) -> frozenset[Node]:
        """An[nodes]: the nodes themselves and all of their ancestors."""
        start = {self.index(node) for node in names_in(nodes)}
        return frozenset(self._names(_reached(start, self._parents.__getitem__)))

    def descendant_observables(self, node: Node) -> tuple[Node, ...]:
        """The observables below `node` (an observable itself: just that one), in the order of `observables`."""
        reached = _reached({self.index(node)}, self._children)
        return self._names(sorted(i for i in reached if i >= self.latent_count))

    def level(self, node: Node) -> int:
        """Height of `node`: 0 for an observable, else one more than its highest child (1 without children).

        In a regular tree all paths down have one length, so this is the number of edges to a pixel.
        """
        return int(self._levels[self.index(node)])

    def dim(self, node: Node) -> int:
        """The dimension of the node's variable."""
        return int(self._dims[self.index(node)])

    def or_children(self, words: np.ndarray) -> np.ndarray:
        """Bitwise OR over each node's children: (nodes,) bool or unsigned to the same; 0 without children."""
        out = np.zeros_like(words)
        parents = len(self.child_ptr) - 1
        if parents:
            out[:parents] = np.bitwise_or.reduceat(words[self.child_index], self.child_ptr[:-1])
        return out

    def or_descendants(self, words: np.ndarray) -> np.ndarray:
        """Bitwise OR over each node and its descendants, lowest level first, in place: (nodes,) bool or unsigned."""
        for start, stop in self._runs:
            ptr = self.child_ptr[start : stop + 1]
            below = words[self.child_index[ptr[0] : ptr[-1]]]
            words[start:stop] |= np.bitwise_or.reduceat(below, ptr[:-1] - ptr[0])
        return words

    def __repr__(self) -> str:
        latents, top = self.latent_count, self._levels[0]  # the highest comes first
        return f"LatentHierarchy({latents} latents, {len(self._levels) - latents} observables, {top} levels)"

    @classmethod
    def _regular(cls, blocks: list[np.ndarray], name_all: Callable, dims: Sequence[int] | None) -> Self:
        """From one array per depth, (nodes, children): each node's children as positions within the next depth."""
        counts = [*(len(block) for block in blocks), blocks[-1].size]
        dims = [1] * len(counts) if dims is None else [positive("dims", d) for d in dims]
        if len(dims) != len(counts):
            raise ValueError(f"dims has {len(dims)} entries: this tree needs {len(counts)}, one a level, root first")
        firsts = np.cumsum(counts)
        self = cls.__new__(cls)
        self.child_ptr = _array(np.cumsum(np.repeat([0, *(block.shape[1] for block in blocks)], [1, *counts[:-1]])))
        self.child_index = _array(
            np.concatenate([first + block.ravel() for first, block in zip(firsts, blocks, strict=False)])
        )
        self.node_levels = self._levels = _array(np.repeat(np.arange(len(counts))[::-1], counts))
        self.node_dims = self._dims = _array(np.repeat(np.array(dims, dtype=np.int64), counts))
        self._rows = _Rows(self.child_ptr, self.child_index)
        self.latent_count = sum(counts[:-1])
        self._given, self._name_all = None, name_all
        return self

    @cached_property
    def _index(self) -> dict[Node, int]:
        return {node: i for i, node in enumerate(self.nodes)}

    @cached_property
    def _runs(self) -> list[tuple[int, int]]:
        """Runs of nodes of one level that have children, lowest level first."""
        inner = self.node_levels[: len(self.child_ptr) - 1]
        bounds = [0, *(np.flatnonzero(np.diff(inner)) + 1).tolist(), len(inner)]
        return [(start, stop) for start, stop in zip(bounds, bounds[1:]) if start < stop][::-1]

    @cached_property
    def _parents(self) -> Sequence[list[int]]:
        if isinstance(self._rows, _Rows):
            return self._rows.turned(len(self._levels))
        rows: list[list[int]] = [[] for _ in self._levels]
        for i, row in enumerate(self._rows):
            for child in row:
                rows[child].append(i)
        return rows

    def _children(self, i: int) -> list[int]:
        return self._rows[i] if i < len(self._rows) else []

    def _names(self, indices: Iterable[int]) -> tuple[Node, ...]:
        return tuple(map(self.nodes.__getitem__, indices))


class _Rows(Sequence):
    """Compressed rows as a sequence of lists."""

    def __init__(self, ptr: np.ndarray, index: np.ndarray):
        self.ptr, self.index = ptr, index

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def __getitem__(self, i: int) -> list[int]:
        if i >= len(self):
            raise IndexError(i)
        return self.index[self.ptr[i] : self.ptr[i + 1]].tolist()

    def turned(self, count: int) -> _Rows:
        """For each of `count` nodes the rows that contain it."""
        tails = np.repeat(np.arange(len(self)), np.diff(self.ptr))
        degrees = np.bincount(self.index, minlength=count)
        return _Rows(np.cumsum([0, *degrees]), tails[np.argsort(self.index, kind="stable")])


def _array(values: Sequence[int] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=np.int64)
    array.setflags(write=False)
    return array


def _reached(start: set[int], step: Callable[[int], list[int]]) -> set[int]:
    """`start` and all that repeated steps reach."""
    reached, frontier = set(start), list(start)
    while frontier:
        new = [i for i in step(frontier.pop()) if i not in reached]
        reached.update(new)
        frontier += new
    return reached


def _tree_names(counts: list[int]) -> tuple[str, ...]:
    top = len(counts) - 1
    latents = (f"z{top - depth}_{i}" for depth in range(top) for i in range(counts[depth]))
    return (*latents, *(f"x_{i}" for i in range(counts[-1])))


def _quadtree_names(sides: list[int]) -> tuple[str, ...]:
    heads = [*(f"z{level}" for level in range(len(sides) - 1, 0, -1)), "x"]
    return tuple(f"{h}_{i}_{j}" for h, s in zip(heads, sides, strict=True) for i in range(s) for j in range(s))
