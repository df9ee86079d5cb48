"""The judge itself, and the assumptions without which the theorem fails."""

from itertools import chain, combinations

import networkx as nx
import numpy as np
import pytest

from mae_lib.theory import LatentHierarchy, locate_shared_information
from mae_lib.theory.linear_gaussian import LinearGaussian, rank

PAIR = LatentHierarchy(nx.DiGraph([("z", "x1"), ("z", "x2")]))


def subsets(nodes):
    return map(frozenset, chain.from_iterable(combinations(nodes, size) for size in range(len(nodes) + 1)))


def test_every_function_is_invertible_in_parents_and_noise():
    hierarchy = LatentHierarchy.figure_2()
    model = LinearGaussian(hierarchy, seed=1, noise_dim={"z1": 2, "x3": 3})
    for node in hierarchy.nodes:
        inputs = np.vstack([model.loadings(hierarchy.parents(node)), model.noise([node])])
        output = model.loadings([node])
        assert output.shape == inputs.shape
        assert rank(output) == rank(inputs) == rank(inputs, output)
    assert model.dim(["z1", "z2"]) == 3


def test_a_node_determines_exactly_the_noises_of_its_ancestors():
    hierarchy = LatentHierarchy.figure_2()
    model = LinearGaussian(hierarchy)
    for node in hierarchy.nodes:
        known = model.loadings([node])
        determined = {v for v in hierarchy.nodes if rank(known, model.noise([v])) == rank(known)}
        assert determined == hierarchy.ancestors([node])


def test_ambient_and_intrinsic_dimension_part_on_a_fork():
    model = LinearGaussian(LatentHierarchy(nx.DiGraph({"z0": ["z1", "z2"], "z1": ["x1", "x2"], "z2": ["x3", "x4"]})))
    c = locate_shared_information(model.hierarchy, ["x1", "x3"]).c
    assert c == {"z1", "z2"}
    assert model.dim(c) == 4
    assert rank(model.loadings(c)) == 3
    # All admissible sets tie in intrinsic dimension.
    assert {rank(model.loadings(each)) for each in model.admissible_sets(["x1", "x3"])} == {3}


def test_s_m_is_the_only_set_of_noises_and_s_mc_is_not():
    hierarchy = LatentHierarchy(nx.DiGraph({"z1": ["z2", "x1"], "z2": ["x2", "x3"]}))
    model, masked = LinearGaussian(hierarchy), ["x1", "x2"]
    found = locate_shared_information(hierarchy, masked)
    s_m = [s for s in subsets(hierarchy.nodes) if model.satisfies(masked, found.c, s, found.s_mc)]
    s_mc = [s for s in subsets(hierarchy.nodes) if model.satisfies(masked, found.c, found.s_m, s)]
    assert s_m == [found.s_m]
    assert found.s_mc in s_mc
    assert all(s - found.split == found.s_mc for s in s_mc)


def test_s_m_turned_by_an_angle_that_depends_on_c_serves_as_well():
    # Appendix A: a standard normal s_m, turned by R(c), keeps its law whatever c is, and turns back.
    rng = np.random.default_rng(0)
    c, s_m = rng.standard_normal(200_000), rng.standard_normal((2, 200_000))
    turned = _turned(s_m, c)
    np.testing.assert_allclose(_turned(turned, -c), s_m, atol=1e-12)
    for low, high in ((-9, -1), (-1, 0), (0, 1), (1, 9)):
        given = turned[:, (low < c) & (c < high)]
        tests = (given.mean(1), np.cov(given) - np.eye(2), (given**4).mean(1) - 3)
        for error, spread in zip(tests, (1, 2**0.5, 96**0.5), strict=True):
            assert np.abs(error).max() < 4.5 * spread / given.shape[1] ** 0.5


def _turned(points, angles):
    x, y = points
    return np.stack([np.cos(angles) * x - np.sin(angles) * y, np.sin(angles) * x + np.cos(angles) * y])


def test_what_two_masks_of_figure_4_both_tell_is_z1():
    # Appendix B's lattice: a function of both estimates is a function of E_A1 and of E_A2, so of the noise of z1.
    hierarchy = LatentHierarchy.figure_4()
    model = LinearGaussian(hierarchy, noise_dim={"z1": 2})
    one, other = (
        model.loadings(locate_shared_information(hierarchy, masked).c)
        for masked in (["x1"], [f"x{i}" for i in range(1, 7)])
    )
    z1 = model.loadings(["z1"])
    assert rank(one) + rank(other) - rank(one, other) == len(model.noise(["z1"])) == 2
    assert rank(one, z1) == rank(one) and rank(other, z1) == rank(other)


def test_three_parts_share_z1_and_two_of_them_more():
    # The exercise theorem-1-three: what all parts tell does not explain all dependence among them.
    model = LinearGaussian(LatentHierarchy(nx.DiGraph({"z1": ["z2", "x3"], "z2": ["x1", "x2"]})))
    parts = {x: model.loadings([x]) for x in ("x1", "x2", "x3")}
    told = {z: [rank(part, model.loadings([z])) == rank(part) for part in parts.values()] for z in ("z1", "z2")}
    assert told == {"z1": [True, True, True], "z2": [True, True, False]}
    known = model.noise(["z1"])  # one number, the noise of the root
    rest = {x: part - part @ known.T @ known for x, part in parts.items()}
    assert np.abs(rest["x1"] @ rest["x3"].T).max() < 1e-12
    assert np.abs(rest["x1"] @ rest["x2"].T).max() > 0.1


def test_what_is_nearly_a_function_of_both_is_nearly_one_of_what_they_have_in_common():
    # Appendix A's exercise: f of three independent noises K, U, W, as a table; S holds K and U, T holds K and W.
    for seed in range(200):
        table = np.random.default_rng(seed).standard_normal((3, 4, 5))
        assert _rest(table, 1, 2) < _rest(table, 2) + _rest(table, 1)
        additive = table[:, :1, :1] + table[:1, :, :1] + table[:1, :1]
        assert _rest(additive, 1, 2) == pytest.approx(_rest(additive, 2) + _rest(additive, 1))


def _rest(table, *unknown):
    """E Var(f | the noises of the other axes)."""
    return np.square(table - table.mean(unknown, keepdims=True)).mean()


def test_condition_2_is_not_symmetric():
    # s_mc may depend on c (here it is told z's noise again); s_m may not.
    model = LinearGaussian(PAIR)
    assert model.satisfies(["x1"], c=["z"], s_m=["x1"], s_mc=["x2", "z"])
    assert not model.satisfies(["x1"], c=["z"], s_m=["x1", "z"], s_mc=["x2"])


def test_conditions_are_refused_to_sets_that_miss_or_exceed_the_shared_information():
    model = LinearGaussian(LatentHierarchy.figure_4())
    assert model.admissible_sets(["x1"]) == [{"z3"}, {"z1", "z3"}]
    for c in ([], ["z1"], ["z3", "z2"]):
        assert not model.admits(c, ["x1"])
    assert not model.satisfies(["x1"], ["z3"], s_m=[], s_mc=["z2", "z5", "z6"])


def test_a_latent_without_noise_breaks_uniqueness():
    hierarchy = LatentHierarchy(nx.DiGraph({"z0": ["z1"], "z1": ["x1", "x2"]}))
    masked = ["x1"]
    assert LinearGaussian(hierarchy).admissible_sets(masked) == [{"z1"}, {"z0", "z1"}]
    assert {"z0"} in LinearGaussian(hierarchy, noise_dim={"z1": 0}).admissible_sets(masked)


def test_correlated_pixel_noises_leave_no_c():
    covariance = np.eye(3)
    covariance[1, 2] = covariance[2, 1] = 0.5  # the noises of x1 and x2
    broken = LinearGaussian(PAIR, noise_covariance=covariance)
    assert LinearGaussian(PAIR).admissible_sets(["x1"]) == [{"z"}]
    assert broken.admissible_sets(["x1"]) == []
    np.testing.assert_allclose(broken.canonical_correlations(["x1"]), [1, 0.5], atol=1e-8)


def test_an_observable_with_a_latent_child_would_break_the_theorem():
    # x1 -> z -> x2: x2 is then a function of x1 and noise, and no latent is a function of x1.
    with pytest.raises(ValueError, match="'x1' has the child 'z'"):
        LatentHierarchy(nx.DiGraph([("x1", "z"), ("z", "x2")]), observables=["x1", "x2"])


def test_canonical_correlations_of_an_empty_side_are_none():
    assert LinearGaussian(PAIR).canonical_correlations([]).shape == (0,)
    assert LinearGaussian(PAIR).canonical_correlations(["x1", "x2"]).shape == (0,)


def test_canonical_correlations_agree_with_the_covariances():
    hierarchy = LatentHierarchy.figure_2()
    model = LinearGaussian(hierarchy, seed=3)
    a, b = model.loadings(["x1", "x3"]), model.loadings(["x2", "x4", "x5", "x6"])
    # Squared correlations are the eigenvalues of pinv(Saa) Sab pinv(Sbb) Sba.
    product = np.linalg.pinv(a @ a.T, 1e-10) @ a @ b.T @ np.linalg.pinv(b @ b.T, 1e-10) @ b @ a.T
    expected = np.sort(np.linalg.eigvals(product).real)[::-1]
    found = model.canonical_correlations(["x1", "x3"])
    np.testing.assert_allclose(expected[: len(found)], found**2, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_dim": {"z": 0}}, "root 'z' is 0"),
        ({"noise_dim": {"x1": -1}}, "noise_dim of 'x1' is -1"),
        ({"noise_dim": {"y": 1}}, "'y' is not a node"),
        ({"noise_covariance": np.eye(2)}, r"it must be symmetric, \(3, 3\)"),
        ({"noise_covariance": -np.eye(3)}, "not positive definite"),
    ],
)
def test_instances_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LinearGaussian(PAIR, **options)


def test_a_masked_latent_and_too_many_subsets_are_refused():
    with pytest.raises(ValueError, match="'z' is not an observable"):
        LinearGaussian(PAIR).admits(["z"], ["z"])
    with pytest.raises(ValueError, match="21 latents have too many subsets"):
        LinearGaussian(LatentHierarchy.quadtree(8)).admissible_sets(["x_0_0"])
