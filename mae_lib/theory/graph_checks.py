"""Checks of Assumption 1's requirements on a graph, on plain dicts: children and dimensions by node."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from numbers import Integral
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

Node = Hashable
Children = dict[Node, tuple[Node, ...]]


def adjacency(graph: nx.DiGraph | Mapping[Node, Iterable[Node]]) -> tuple[Children, dict[Node, int]]:
    """(children, dims) of a networkx.DiGraph or a dict of children, in its order. Raises as LatentHierarchy."""
    if isinstance(graph, Mapping):
        children = {node: _children(node, below) for node, below in graph.items()}
        children |= {node: () for node in chain.from_iterable(children.values()) if node not in children}
        dims = dict.fromkeys(children, 1)
    elif hasattr(graph, "is_directed") and graph.is_directed():
        children = {node: tuple(graph[node]) for node in graph}
        dims = dict(graph.nodes(data="dim", default=1))
    else:
        kind = type(graph).__name__
        raise TypeError(f"graph is a {kind}: a hierarchy needs a networkx.DiGraph or a dict of children")
    _check(children, dims)
    return children, dims


def levels(children: Children, observables: set[Node]) -> dict[Node, int]:
    """Heights above the observables: 0 for these, else one more than the highest child (1 without children)."""
    found: dict[Node, int] = {}
    for node in TopologicalSorter(children).static_order():  # children first
        found[node] = 0 if node in observables else 1 + max((found[child] for child in children[node]), default=0)
    return found


def checked_observables(children: Children, observables: Iterable[Node] | None) -> list[Node]:
    """The observables as a list, all nodes without children by default. Raises ValueError as LatentHierarchy."""
    if observables is None:
        return [node for node in children if not children[node]]
    observables = names_in(observables, "observables")
    _check_given(children, observables)
    return observables


def names_in(nodes: Iterable[Node], what: str = "nodes") -> list[Node]:
    """The names as a list. Raises ValueError for a mask: True would be taken for the name 1."""
    nodes = list(nodes)
    if any(map(is_truth, nodes)):
        raise ValueError(f"{what} holds booleans: give names, or masks to locate_shared_information_batch")
    return nodes


def is_truth(node: object) -> bool:
    """Whether this is True or False, or an element of an array or tensor of them."""
    return isinstance(node, bool) or "bool" in str(getattr(node, "dtype", ""))


def positive(name: str, value: object) -> int:
    """`value` as an int. Raises ValueError unless it is an integer from 1 to 2^31 - 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r}: it must be a positive integer")
    if value >= 2**31:  # the arrays are int64 and hold sums of these
        raise ValueError(f"{name} is {value!r}: it must be below 2^31")
    return int(value)


def _children(node: Node, below: Iterable[Node]) -> tuple[Node, ...]:
    """The children of a dict's entry, each once."""
    if isinstance(below, str) or not isinstance(below, Iterable):
        raise ValueError(f"the children of {node!r} are {below!r}: they must be a list, such as [{below!r}]")
    below = tuple(below)
    for child in below:
        if not isinstance(child, Hashable):
            raise ValueError(f"node {node!r} has the child {child!r}: a name must be hashable, such as text")
    return tuple(dict.fromkeys(below))


def _check(children: Children, dims: Mapping[Node, int]) -> None:
    if not children:
        raise ValueError("the graph has no nodes: a hierarchy needs at least one observable")
    for node, dim in dims.items():
        positive(f"dim of node {node!r}", dim)
        if is_truth(node):
            raise ValueError(f"a node is named {node!r}, which is the name {int(node)} as well: choose another")
    if cycle := _cycle(children):
        raise ValueError(f"the graph has the cycle {' -> '.join(map(repr, [*cycle, cycle[0]]))}: it must be acyclic")


def _cycle(children: Children) -> list[Node]:
    """A cycle, parents before children, from its first node in the graph's order; empty if there is none."""
    try:
        TopologicalSorter(children).prepare()
    except CycleError as error:
        cycle = error.args[1][:0:-1]
        first = next(i for node in children for i, other in enumerate(cycle) if other == node)
        return cycle[first:] + cycle[:first]
    return []


def _check_given(children: Children, observables: list[Node]) -> None:
    if not observables:
        raise ValueError("observables is empty: name at least one node without children, or leave it out")
    seen: set[Node] = set()
    for node in observables:
        if node not in children:
            raise ValueError(f"observable {node!r} is not a node of the graph")
        if node in seen:
            raise ValueError(f"observable {node!r} is given twice")
        seen.add(node)
    for node in observables:
        for child in children[node]:
            if child in seen:
                raise ValueError(f"edge {node!r} -> {child!r} joins two observables: Assumption 1 excludes it")
            raise ValueError(f"observable {node!r} has the child {child!r}: observables must be without children")
    below = set(chain.from_iterable(children.values()))
    for node in children:
        if node not in seen and not children[node] and node not in below:
            raise ValueError(f"latent {node!r} is isolated: give it a parent or a child, or make it an observable")
