"""Graphs: what the constructors build, and what is refused by name."""

import networkx as nx
import numpy as np
import pytest

from mae_lib.theory import LatentHierarchy


def chain(*edges, observables=None):
    return LatentHierarchy(nx.DiGraph(edge.split(">") for edge in edges), observables)


@pytest.mark.parametrize(
    ("edges", "observables", "message"),
    [
        (["a>b", "b>c", "c>a", "c>x"], None, "'a' -> 'b' -> 'c' -> 'a'"),
        (["a>a", "a>x"], None, "'a' -> 'a'"),
        (["z>x1", "x1>w", "w>x2"], ["x1", "x2"], "'x1' has the child 'w'"),
        (["z>x1", "x1>x2"], ["x1", "x2"], "'x1' -> 'x2' joins two observables"),
        (["z>x1", "z>x2"], ["x1", "x2", "x3"], "'x3' is not a node"),
        (["z>x1", "z>x2"], ["x1", "x2", "x1"], "'x1' is given twice"),
        (["z>x1"], [], "observables is empty"),
    ],
)
def test_graphs_outside_assumption_1_are_refused_by_name(edges, observables, message):
    with pytest.raises(ValueError, match=message):
        chain(*edges, observables=observables)


def test_an_isolated_latent_is_refused_and_an_isolated_pixel_is_not():
    graph = nx.DiGraph([("z", "x")])
    graph.add_node("w")
    with pytest.raises(ValueError, match="'w' is isolated"):
        LatentHierarchy(graph, observables=["x"])
    assert LatentHierarchy(graph).observables == ("x", "w")


@pytest.mark.parametrize("dim", [0, -1, 1.5, "2", True, None])
def test_a_dim_that_is_no_positive_integer_is_refused(dim):
    graph = nx.DiGraph([("z", "x")])
    graph.nodes["z"]["dim"] = dim
    with pytest.raises(ValueError, match=f"dim of node 'z' is {dim!r}"):
        LatentHierarchy(graph)


def test_an_empty_or_undirected_graph_is_refused():
    with pytest.raises(ValueError, match="no nodes"):
        LatentHierarchy(nx.DiGraph())
    with pytest.raises(TypeError, match=r"Graph: a hierarchy needs a networkx\.DiGraph"):
        LatentHierarchy(nx.Graph([("z", "x")]))


def test_the_given_graph_is_copied_and_the_copy_frozen():
    graph = nx.DiGraph([("z", "x1"), ("z", "x2")])
    hierarchy = LatentHierarchy(graph)
    graph.add_edge("x1", "z")
    assert hierarchy.parents("x1") == ("z",)
    with pytest.raises(nx.NetworkXError, match=r"(?i)frozen"):
        hierarchy.graph.add_edge("z", "x3")
    with pytest.raises(ValueError, match="read-only"):
        hierarchy.child_index[0] = 0


def test_observables_keep_the_order_given_and_any_hashable_is_a_name():
    graph = nx.DiGraph([(0, (1, "a")), (0, 2)])
    assert LatentHierarchy(graph, observables=[2, (1, "a")]).observables == (2, (1, "a"))


def test_an_unknown_name_is_refused_by_name():
    hierarchy = LatentHierarchy.figure_4()
    for ask in (hierarchy.level, hierarchy.dim, hierarchy.parents, hierarchy.children, hierarchy.ancestors):
        with pytest.raises(ValueError, match="'y' is not a node"):
            ask("y")


@pytest.mark.parametrize(
    "hierarchy",
    [LatentHierarchy.quadtree(4, dims=[3, 2, 1]), LatentHierarchy.tree([3, 1, 2], dims=[4, 3, 2, 1])],
    ids=["quadtree", "tree"],
)
def test_trees_built_as_arrays_equal_trees_built_from_networkx(hierarchy):
    rebuilt = LatentHierarchy(nx.DiGraph(hierarchy.graph), observables=hierarchy.observables)
    assert rebuilt.nodes == hierarchy.nodes
    for name in ("node_levels", "node_dims", "child_ptr", "child_index"):
        np.testing.assert_array_equal(getattr(rebuilt, name), getattr(hierarchy, name))
    for node in hierarchy.nodes:
        assert rebuilt.parents(node) == hierarchy.parents(node)
        assert rebuilt.children(node) == hierarchy.children(node)
    assert nx.is_arborescence(hierarchy.graph)
    assert hierarchy.graph.nodes[hierarchy.nodes[0]]["dim"] == hierarchy.dim(hierarchy.nodes[0]) > 2


def test_the_quadtree_holds_square_blocks_in_row_major_order():
    hierarchy = LatentHierarchy.quadtree(8)
    assert hierarchy.observables == tuple(f"x_{i}_{j}" for i in range(8) for j in range(8))
    assert hierarchy.nodes[0] == "z3_0_0"
    for node in hierarchy.latents:
        level, row, column = map(int, node[1:].split("_"))
        side = 2**level
        block = [(row * side + i, column * side + j) for i in range(side) for j in range(side)]
        assert hierarchy.descendant_observables(node) == tuple(f"x_{i}_{j}" for i, j in block)
        assert hierarchy.level(node) == level


def test_the_tree_has_the_branching_asked_for():
    hierarchy = LatentHierarchy.tree((2, 3))
    assert hierarchy.nodes == ("z2_0", "z1_0", "z1_1", *(f"x_{i}" for i in range(6)))
    assert hierarchy.children("z1_1") == ("x_3", "x_4", "x_5")


@pytest.mark.parametrize("side", [0, 1, 3, 12, 2.0, True])
def test_a_side_that_is_no_power_of_two_is_refused(side):
    with pytest.raises(ValueError, match=f"side is {side}"):
        LatentHierarchy.quadtree(side)


def test_a_tree_of_nothing_or_with_missing_dims_is_refused():
    with pytest.raises(ValueError, match="branching is empty"):
        LatentHierarchy.tree([])
    with pytest.raises(ValueError, match="branching is 0"):
        LatentHierarchy.tree([2, 0])
    with pytest.raises(ValueError, match=r"dims has 2 entries: this tree needs 3"):
        LatentHierarchy.tree([2, 2], dims=[1, 1])


def test_the_papers_figures_match_their_captions():
    one, two, four = LatentHierarchy.figure_1(), LatentHierarchy.figure_2(), LatentHierarchy.figure_4()
    assert one.children("z1") == ("z2", "z3", "z4")
    assert set(one.descendant_observables("z1")) == set(one.observables)
    assert not nx.is_forest(two.graph.to_undirected())  # not a tree: an arbitrary DAG
    assert two.graph.subgraph(two.latents).in_degree("z4") == 2
    assert dict(four.graph.adjacency()).keys() == {"z1", "z2", "z3", "z5", "z6", *(f"x{i}" for i in range(1, 8))}
    assert [four.level(z) for z in four.latents] == [3, 2, 1, 1, 1]
    assert four.observables == tuple(f"x{i}" for i in range(1, 8))


def test_a_tree_of_a_million_pixels_has_the_right_arrays():
    hierarchy = LatentHierarchy.quadtree(1024)
    assert len(hierarchy.node_levels) == sum(4**depth for depth in range(11))
    below = hierarchy.or_children(np.arange(len(hierarchy.node_levels), dtype=np.uint64))
    assert below[0] == 1 | 2 | 3 | 4
    assert np.array_equal(np.sort(hierarchy.child_index), np.arange(1, len(hierarchy.node_levels)))


@pytest.mark.parametrize("dim", [10**30, 2**63, 2**31])
def test_a_dimension_that_no_array_holds_is_refused(dim):
    graph = nx.DiGraph({"z": ["x"]})
    graph.nodes["x"]["dim"] = dim
    with pytest.raises(ValueError, match=f"dim of node 'x' is {dim}: it must be below 2\\^31"):
        LatentHierarchy(graph)
    with pytest.raises(ValueError, match="below 2"):
        LatentHierarchy.tree([2], dims=[1, dim])


def test_a_dict_of_children_is_the_same_hierarchy_as_its_graph():
    rng = np.random.default_rng(3)
    for _ in range(20):
        edges = {i: sorted(rng.choice(np.arange(i + 1, 12), 2, replace=False).tolist()) for i in range(8)}
        one, other = LatentHierarchy(edges), LatentHierarchy(nx.DiGraph(edges))
        assert one.nodes == other.nodes and nx.utils.graphs_equal(nx.DiGraph(one.graph.edges), nx.DiGraph(edges))
        for name in ("node_levels", "node_dims", "child_ptr", "child_index"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        for node in one.nodes:
            assert one.ancestors([node]) == nx.ancestors(other.graph, node) | {node}
            below = nx.descendants(other.graph, node) | {node}
            assert set(one.descendant_observables(node)) == below & set(one.observables)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({}, "no nodes"),
        ({"z": "x1"}, r"the children of 'z' are 'x1': they must be a list, such as \['x1'\]"),
        ({"z": 3}, "the children of 'z' are 3"),
        ({"z": [["x"]]}, r"'z' has the child \['x'\]: a name must be hashable"),
        ({"z": [True, "x"]}, "a node is named True"),
        ({"a": ["b"], "b": ["a"]}, "'a' -> 'b' -> 'a'"),
    ],
)
def test_a_dict_that_is_no_graph_is_refused_by_name(graph, message):
    with pytest.raises(ValueError, match=message):
        LatentHierarchy(graph)
