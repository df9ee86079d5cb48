"""The process is what Equation 1 says, its inverse gives everything back, and each option breaks what it says."""

import networkx as nx
import numpy as np
import pytest
import torch

from mae_lib.limits.nonlinear_hierarchy import NonlinearHierarchy
from mae_lib.theory import LatentHierarchy
from mae_lib.theory.linear_gaussian import LinearGaussian

FIGURE_2, FIGURE_4 = LatentHierarchy.figure_2(), LatentHierarchy.figure_4()
MANY = torch.arange(20_000)


def drawn(world, indices=MANY):
    noises = world.noises(indices)
    return world.grow(noises), noises


def test_one_pixel_gives_back_all_of_its_ancestors_and_their_noises():
    world = NonlinearHierarchy(FIGURE_2, seed=3, noise_dim={"z1": 2, "x3": 3})
    values, noises = drawn(world, torch.arange(50))
    for pixel in FIGURE_2.observables:
        queue = [(pixel, values[pixel])]
        reached = set()
        while queue:
            node, value = queue.pop()
            reached.add(node)
            inputs = torch.where(value < 0, value / 0.2, value) @ world.turns[node]
            *parents, noise = inputs.split(
                [*(world.dims[p] for p in FIGURE_2.parents(node)), world.noise_dims[node]], 1
            )
            torch.testing.assert_close(noise, noises[node], atol=1e-3, rtol=0)
            for parent, found in zip(FIGURE_2.parents(node), parents):
                torch.testing.assert_close(found, values[parent], atol=1e-3, rtol=0)
            queue.extend(zip(FIGURE_2.parents(node), parents))
        assert reached == FIGURE_2.ancestors([pixel])


def test_slope_one_is_linear_with_the_dimensions_of_the_linear_instance():
    world = NonlinearHierarchy(FIGURE_2, slope=1.0)
    one, two = world.noises(torch.arange(20)), world.noises(torch.arange(20, 40))
    together = world.grow({v: one[v] - 2 * two[v] for v in one})
    for v, value in together.items():
        torch.testing.assert_close(value, world.grow(one)[v] - 2 * world.grow(two)[v], atol=1e-4, rtol=0)
    assert world.dims == {v: LinearGaussian(FIGURE_2).dim([v]) for v in FIGURE_2.nodes}


def test_slope_zero_loses_information():
    values, _ = drawn(NonlinearHierarchy(FIGURE_4, slope=0.0), torch.arange(500))
    silent = torch.cat([values[x] for x in FIGURE_4.observables], 1) == 0
    assert 0.2 < silent.float().mean() < 0.8


def test_draws_depend_on_index_and_split_alone():
    world = NonlinearHierarchy(FIGURE_4, seed=1, correlation=0.5)
    whole, part = world.noises(torch.arange(10)), world.noises(torch.tensor([7, 3]))
    other = world.noises(torch.arange(10), "test")
    for v in FIGURE_4.nodes:
        assert torch.equal(whole[v][[7, 3]], part[v])
        assert not torch.equal(whole[v], other[v])


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_noises_have_unit_variance_and_the_correlation_asked_for(correlation):
    world = NonlinearHierarchy(FIGURE_4, seed=2, correlation=correlation)
    noises = world.noises(MANY)
    found = np.corrcoef(torch.cat([noises[v] for v in FIGURE_4.nodes], 1).numpy().T)
    pixels = np.array([v in FIGURE_4.observables for v in FIGURE_4.nodes])
    expected = np.where(np.outer(pixels, pixels), correlation, 0.0)
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(found, expected, atol=0.04)
    assert torch.cat(list(noises.values()), 1).var(0).sub(1).abs().max() < 0.05


def test_mean_free_observables_determine_their_parents_and_average_to_nothing():
    world = NonlinearHierarchy(FIGURE_4, mean_free=frozenset({"x1"}))
    noises = world.noises(MANY)
    values = world.grow(noises)
    s = values["x1"][:, -1:]
    torch.testing.assert_close(values["x1"][:, :-1] / s, values["z3"], atol=1e-4, rtol=1e-4)
    assert s.abs().min() >= 0.5
    # The noise with its sign turned is as likely, and gives the opposite observable for the same parents.
    mirrored = world.grow(noises | {"x1": -noises["x1"]})
    torch.testing.assert_close(mirrored["x1"], -values["x1"])
    torch.testing.assert_close(mirrored["x2"], values["x2"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slope": -0.1}, r"slope is -0.1: it must lie in \[0, 1\]"),
        ({"correlation": 1.5}, "correlation is 1.5"),
        ({"noise_dim": 0}, "noise_dim of 'z1' is 0"),
        ({"noise_dim": {"y": 1}}, "'y' is not a node"),
        ({"mean_free": frozenset({"z3"})}, "'z3' cannot be mean-free"),
        ({"mean_free": frozenset({"x1"}), "noise_dim": 2}, "'x1' cannot be mean-free"),
    ],
)
def test_processes_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NonlinearHierarchy(FIGURE_4, **options)


def test_any_graph_will_do():
    graph = LatentHierarchy(nx.DiGraph({"a": ["b", "x"], "b": ["x", "y"]}))
    values, _ = drawn(NonlinearHierarchy(graph), torch.arange(3))
    assert {v: value.shape for v, value in values.items()} == {"a": (3, 1), "b": (3, 2), "x": (3, 4), "y": (3, 3)}
