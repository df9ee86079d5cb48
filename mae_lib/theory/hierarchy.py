"""The latent hierarchy of Assumption 1: a directed acyclic graph of latents over observables, checked once.

The graph is kept as arrays (children in compressed rows, nodes in topological order, one contiguous run a level), so
that a quadtree over 4^10 pixels is built in a tenth of a second and one sweep up its levels costs milliseconds.
Names and the networkx graph are made when somebody asks for them.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property, partial
from itertools import chain
from numbers import Integral
from typing import Self

import networkx as nx
import numpy as np

Node = Hashable


class LatentHierarchy:
    """G = (Z ∪ X, E) of Section 2.1: latents Z, observables X without children, no edge between observables.

    graph: any networkx.DiGraph; a node's attribute `dim` is the dimension of its variable (1 by default).
    observables: their names in the order that masks use; by default the nodes without children, in the graph's order.

    `nodes` are ordered: latents first, parents before children, then the observables; every array here has this order.
    Raises ValueError, naming the node, for a cycle, an observable with children, an edge between observables, an
    isolated latent, an unknown or repeated observable, a dim that is not a positive integer, or an empty graph;
    TypeError for a graph that is not directed.
    """

    def __init__(self, graph: nx.DiGraph, observables: Iterable[Node] | None = None):
        observables = _checked_observables(graph, observables)
        levels = _levels(graph, set(observables))
        latents = [node for node in graph if levels[node] > 0]
        # Latents without children have nothing to gather: they follow the others, so that no row is empty.
        latents.sort(key=lambda node: -levels[node] if graph.out_degree(node) else 0)
        nodes = (*latents, *observables)
        index = {node: i for i, node in enumerate(nodes)}
        rows = [[index[child] for child in graph[node]] for node in latents if graph.out_degree(node)]
        self._set_arrays(
            child_ptr=np.cumsum([0, *map(len, rows)]),
            child_index=np.array(list(chain.from_iterable(rows)), dtype=np.int64),
            levels=np.array([levels[node] for node in nodes]),
            dims=np.array([graph.nodes[node].get("dim", 1) for node in nodes], dtype=np.int64),
        )
        self._name_all = partial(tuple, nodes)
        self.graph = nx.freeze(nx.DiGraph(graph))

    @classmethod
    def tree(cls, branching: Sequence[int], dims: Sequence[int] | None = None) -> Self:
        """The regular tree whose nodes have branching[0] children at the root, then branching[1], and so on.

        Latents are named "z{level}_{position}" (the root of a tree of L levels is "zL_0"), observables "x_{position}".
        dims: the dimension of each level's variables, root first, one more than `branching`; 1 by default.
        """
        branching = [_positive("branching", b) for b in branching]
        if not branching:
            raise ValueError("branching is empty: a tree needs the number of the root's children, such as (2, 3)")
        counts = [math.prod(branching[:depth]) for depth in range(len(branching) + 1)]
        blocks = [np.arange(below).reshape(here, -1) for here, below in zip(counts[:-1], counts[1:], strict=True)]
        return cls._regular(blocks, partial(_tree_names, counts), dims)

    @classmethod
    def quadtree(cls, side: int, dims: Sequence[int] | None = None) -> Self:
        """The tree of 2 x 2 blocks over side x side pixels; side is a power of two, 2 or more.

        Pixels are "x_{row}_{column}", in row-major order; latents "z{level}_{row}_{column}", each over a square of
        2^level pixels a side. dims as in `tree`.
        """
        side = _positive("side", side)
        if side < 2 or side & (side - 1):
            raise ValueError(f"side is {side}: a quadtree needs a power of two, 2 or more")
        sides = [1 << depth for depth in range(side.bit_length())]
        blocks = [np.arange(4 * s * s).reshape(s, 2, s, 2).swapaxes(1, 2).reshape(-1, 4) for s in sides[:-1]]
        return cls._regular(blocks, partial(_quadtree_names, sides), dims)

    @classmethod
    def figure_1(cls) -> Self:
        """A small instance of Figure 1's caption: z1 (semantics) over z2, z3 and z4 (texture), two pixels under each.

        The drawing itself is not at hand: the number of pixels is ours.
        """
        return cls(nx.DiGraph({"z1": ["z2", "z3", "z4"], "z2": ["x1", "x2"], "z3": ["x3", "x4"], "z4": ["x5", "x6"]}))

    @classmethod
    def figure_2(cls) -> Self:
        """A small instance of Figure 2's caption, "arbitrary DAGs in the latent space".

        Two roots, a shared child (z4), a latent edge beside the levels (z3 -> z5), a pixel with two parents (x3) and
        one fed past a level (z2 -> x6). The drawing itself is not at hand: these edges are ours.
        """
        z = {"z1": ["z3", "z4"], "z2": ["z4", "z5", "x6"], "z3": ["x1", "x2", "x3", "z5"]}
        graph = nx.DiGraph(z | {"z4": ["x3", "x4"], "z5": ["x5", "x6"]})
        return cls(graph, observables=[f"x{i}" for i in range(1, 7)])

    @classmethod
    def figure_4(cls) -> Self:
        """An instance of Figure 4 that fits its caption and text; the drawing itself is not at hand.

        z1 over z2 and z3, z2 over z5 and z6, seven pixels x1..x7 (x1 to x3 under z3).
        """
        z = {"z1": ["z2", "z3"], "z2": ["z5", "z6"], "z3": ["x1", "x2", "x3"], "z5": ["x4", "x5"], "z6": ["x6", "x7"]}
        return cls(nx.DiGraph(z), observables=[f"x{i}" for i in range(1, 8)])

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every name: latents, parents before children, then observables."""
        return self._name_all()

    @cached_property
    def latents(self) -> tuple[Node, ...]:
        """Z, higher levels first: nodes[:len(latents)]."""
        return self.nodes[: self.latent_count]

    @cached_property
    def observables(self) -> tuple[Node, ...]:
        """X, in the order of a mask's columns: nodes[len(latents):]."""
        return self.nodes[self.latent_count :]

    @cached_property
    def graph(self) -> nx.DiGraph:
        """A frozen networkx copy, with the attribute `dim` on each node."""
        graph = nx.DiGraph()
        graph.add_nodes_from((node, {"dim": int(dim)}) for node, dim in zip(self.nodes, self.node_dims, strict=True))
        tails = np.repeat(np.arange(len(self.child_ptr) - 1), np.diff(self.child_ptr))
        graph.add_edges_from(zip(self._names(tails), self._names(self.child_index), strict=True))
        return nx.freeze(graph)

    def index(self, node: Node) -> int:
        """The position of `node` in `nodes`; ValueError for a name that is not in the hierarchy."""
        try:
            if not _is_truth(node):
                return self._index[node]
        except (KeyError, TypeError):
            pass
        raise ValueError(f"{node!r} is not a node of {self!r}")

    def parents(self, node: Node) -> tuple[Node, ...]:
        """Pa(node)."""
        ptr, parents = self._parents
        i = self.index(node)
        return self._names(parents[ptr[i] : ptr[i + 1]])

    def children(self, node: Node) -> tuple[Node, ...]:
        """The nodes that have `node` as a parent; none for an observable."""
        return self._names(self._children(self.index(node)))

    def ancestors(self, nodes: Iterable[Node]) -> frozenset[Node]:
        """An[nodes]: the nodes themselves and all of their ancestors."""
        reached = np.zeros(len(self.node_levels), dtype=bool)
        reached[[self.index(node) for node in names_in(nodes)]] = True
        return frozenset(self._names(np.flatnonzero(self.or_descendants(reached))))

    def descendant_observables(self, node: Node) -> tuple[Node, ...]:
        """The observables below `node` (an observable itself: just that one), in the order of `observables`."""
        reached, frontier = set(), [self.index(node)]
        while frontier:
            i = frontier.pop()
            if i not in reached:
                reached.add(i)
                frontier.extend(self._children(i))
        return self._names(sorted(i for i in reached if i >= self.latent_count))

    def level(self, node: Node) -> int:
        """Height of `node`: 0 for an observable, else one more than its highest child (1 without children).

        In a regular tree all paths down are as long as the longest, so this is the number of edges to a pixel.
        """
        return int(self.node_levels[self.index(node)])

    def dim(self, node: Node) -> int:
        """The dimension of the node's variable."""
        return int(self.node_dims[self.index(node)])

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
        latents, levels = self.latent_count, self.node_levels.max()
        return f"LatentHierarchy({latents} latents, {len(self.node_levels) - latents} observables, {levels} levels)"

    def _set_arrays(self, child_ptr: np.ndarray, child_index: np.ndarray, levels: np.ndarray, dims: np.ndarray) -> None:
        """Row i of the compressed rows holds the children of node i; nodes past the last row have none."""
        self.child_ptr, self.child_index, self.node_levels, self.node_dims = child_ptr, child_index, levels, dims
        for array in (child_ptr, child_index, levels, dims):
            array.setflags(write=False)
        self.latent_count = int(np.count_nonzero(levels))
        # Runs of nodes of one level that have children, lowest level first.
        inner = levels[: len(child_ptr) - 1]
        bounds = [0, *(np.flatnonzero(np.diff(inner)) + 1).tolist(), len(inner)]
        self._runs = [(start, stop) for start, stop in zip(bounds, bounds[1:]) if start < stop][::-1]

    @classmethod
    def _regular(cls, blocks: list[np.ndarray], name_all: Callable, dims: Sequence[int] | None) -> Self:
        """From one array a depth, (nodes, children): each node's children as positions within the next depth."""
        counts = [*(len(block) for block in blocks), blocks[-1].size]
        dims = [1] * len(counts) if dims is None else [_positive("dims", d) for d in dims]
        if len(dims) != len(counts):
            raise ValueError(f"dims has {len(dims)} entries: this tree needs {len(counts)}, one a level, root first")
        firsts = np.cumsum(counts)
        self = cls.__new__(cls)
        self._set_arrays(
            child_ptr=np.cumsum(np.repeat([0, *(block.shape[1] for block in blocks)], [1, *counts[:-1]])),
            child_index=np.concatenate([first + block.ravel() for first, block in zip(firsts, blocks, strict=False)]),
            levels=np.repeat(np.arange(len(counts))[::-1], counts),
            dims=np.repeat(np.array(dims, dtype=np.int64), counts),
        )
        self._name_all = name_all
        return self

    @cached_property
    def _index(self) -> dict[Node, int]:
        return {node: i for i, node in enumerate(self.nodes)}

    @cached_property
    def _parents(self) -> tuple[np.ndarray, np.ndarray]:
        """Compressed rows of the parents, as (ptr, index)."""
        tails = np.repeat(np.arange(len(self.child_ptr) - 1), np.diff(self.child_ptr))
        degrees = np.bincount(self.child_index, minlength=len(self.node_levels))
        return np.cumsum([0, *degrees]), tails[np.argsort(self.child_index, kind="stable")]

    def _children(self, i: int) -> list[int]:
        return self.child_index[slice(*self.child_ptr[i : i + 2])].tolist() if i + 1 < len(self.child_ptr) else []

    def _names(self, indices: Iterable[int]) -> tuple[Node, ...]:
        return tuple(map(self.nodes.__getitem__, indices))


def names_in(nodes: Iterable[Node], what: str = "nodes") -> list[Node]:
    """The names as a list. Raises ValueError for a mask: True would be taken for the name 1."""
    nodes = list(nodes)
    if any(map(_is_truth, nodes)):
        raise ValueError(f"{what} holds booleans: give names, or masks to locate_shared_information_batch")
    return nodes


def _is_truth(node: object) -> bool:
    """Whether this is True or False, or an element of an array or tensor of them."""
    return isinstance(node, bool) or "bool" in str(getattr(node, "dtype", ""))


def _tree_names(counts: list[int]) -> tuple[str, ...]:
    top = len(counts) - 1
    latents = (f"z{top - depth}_{i}" for depth in range(top) for i in range(counts[depth]))
    return (*latents, *(f"x_{i}" for i in range(counts[-1])))


def _quadtree_names(sides: list[int]) -> tuple[str, ...]:
    heads = [*(f"z{level}" for level in range(len(sides) - 1, 0, -1)), "x"]
    return tuple(f"{h}_{i}_{j}" for h, s in zip(heads, sides, strict=True) for i in range(s) for j in range(s))


def _positive(name: str, value: object) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r}: it must be a positive integer")
    if value >= 2**31:  # the arrays hold 64 bits, and sums of these
        raise ValueError(f"{name} is {value!r}: it must be below 2^31")
    return int(value)


def _levels(graph: nx.DiGraph, observables: set[Node]) -> dict[Node, int]:
    levels: dict[Node, int] = {}
    for node in reversed(list(nx.topological_sort(graph))):
        levels[node] = 0 if node in observables else 1 + max((levels[child] for child in graph[node]), default=0)
    return levels


def _checked_observables(graph: nx.DiGraph, observables: Iterable[Node] | None) -> list[Node]:
    """The observables as a list, after every check that the class promises."""
    if not isinstance(graph, nx.DiGraph):
        raise TypeError(f"graph is a {type(graph).__name__}: a hierarchy needs a networkx.DiGraph")
    if not graph:
        raise ValueError("the graph has no nodes: a hierarchy needs at least one observable")
    for node, dim in graph.nodes(data="dim", default=1):
        _positive(f"dim of node {node!r}", dim)
        if _is_truth(node):
            raise ValueError(f"a node is named {node!r}, which is the name {int(node)} as well: choose another")
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [tail for tail, *_ in nx.find_cycle(graph)]
        raise ValueError(f"the graph has the cycle {' -> '.join(map(repr, [*cycle, cycle[0]]))}: it must be acyclic")
    if observables is None:
        return [node for node in graph if not graph.out_degree(node)]
    observables = names_in(observables, "observables")
    _check_given_observables(graph, observables)
    return observables


def _check_given_observables(graph: nx.DiGraph, observables: list[Node]) -> None:
    if not observables:
        raise ValueError("observables is empty: name at least one node without children, or leave it out")
    seen: set[Node] = set()
    for node in observables:
        if node not in graph:
            raise ValueError(f"observable {node!r} is not a node of the graph")
        if node in seen:
            raise ValueError(f"observable {node!r} is given twice")
        seen.add(node)
    for node in observables:
        for child in graph[node]:
            if child in seen:
                raise ValueError(f"edge {node!r} -> {child!r} joins two observables: Assumption 1 excludes it")
            raise ValueError(f"observable {node!r} has the child {child!r}: observables must be without children")
    for node in graph:
        if node not in seen and not graph.degree(node):
            raise ValueError(f"latent {node!r} is isolated: give it a parent or a child, or make it an observable")
