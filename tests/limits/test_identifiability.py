"""The energy score, the stacked training, the nonlinear reader and the linear closed form, each against a judge."""

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import energy_distance

from mae_lib.limits.identifiability import (
    Problem,
    draw,
    energy_score,
    linear_estimate,
    nonlinear_r2,
    score_autoencoders,
    train_autoencoders,
)
from mae_lib.limits.nonlinear_hierarchy import NonlinearHierarchy
from mae_lib.theory import LatentHierarchy, locate_shared_information
from mae_lib.theory.linear_gaussian import LinearGaussian, rank

FIGURE_4 = LatentHierarchy.figure_4()
PAIR = LatentHierarchy(nx.DiGraph([("z", "x1"), ("z", "x2")]))
MASKS = (("x1",), ("x1", "x2", "x3"), ("x1", "x2", "x3", "x4", "x5", "x6"), ("x1", "x4"))


def normals(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_energy_score_is_half_the_energy_distance_above_its_least():
    x, one, two = normals(0, 3, 200_000, 1)
    least = energy_score(x, one, two).mean()
    for shift, scale in ((0.5, 1.0), (0.0, 2.0), (-1.0, 0.5)):
        other = energy_score(x, shift + scale * one, shift + scale * two).mean()
        distance = energy_distance(x[:5000, 0], shift + scale * one[:5000, 0])  # a square root, in scipy
        assert other - least == pytest.approx(distance**2 / 2, rel=0.15)


def test_the_squared_error_prefers_a_constant_where_the_energy_score_prefers_the_law():
    x, one, two = normals(1, 3, 100_000, 2)
    mean = torch.zeros_like(x)
    assert energy_score(x, one, two).mean() < energy_score(x, mean, mean).mean() - 0.1
    assert (x - one).square().sum(1).mean() > (x - mean).square().sum(1).mean() + 1


@pytest.mark.parametrize("masked", MASKS)
def test_dimensions_of_a_problem_are_those_of_the_linear_instance(masked):
    noise_dim = {"z1": 2, "z3": 3, "x4": 2}
    problem = Problem(NonlinearHierarchy(FIGURE_4, noise_dim=noise_dim), masked)
    instance = LinearGaussian(FIGURE_4, noise_dim=noise_dim)
    shared = locate_shared_information(FIGURE_4, masked)
    assert problem.width == problem.d_c == rank(instance.loadings(shared.c))
    assert problem.d_s_m == rank(instance.noise(shared.s_m))
    # c and s_m together are as many numbers as the masked part determines.
    assert problem.d_c + problem.d_s_m == rank(instance.loadings(masked))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masked": ()}, "share nothing"),
        ({"masked": FIGURE_4.observables}, "share nothing"),
        ({"masked": ("z1",)}, "'z1' is latent"),
        ({"masked": ("x1",), "width": 0}, "width 0 must be 1 or more"),
        ({"masked": ("x1",), "loss": "absolute"}, "loss 'absolute'"),
    ],
)
def test_problems_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Problem(NonlinearHierarchy(FIGURE_4), **options)


def test_training_needs_a_problem_and_a_finite_loss():
    with pytest.raises(ValueError, match="problems is empty"):
        train_autoencoders([], steps=1)
    with pytest.raises(ArithmeticError, match="loss of problem 0 is not finite: lower lr"):
        train_autoencoders([Problem(NonlinearHierarchy(PAIR), ("x1",))], steps=20, batch=8, hidden=8, lr=1e30)


def test_padding_changes_nothing():
    problems = [Problem(NonlinearHierarchy(FIGURE_4, seed), masked) for seed, masked in enumerate(MASKS)]
    model = train_autoencoders(problems, steps=3, batch=16, hidden=8)
    drawn = draw(problems, torch.arange(16))
    s_hat = normals(2, 2, 16, model.random.shape[2])
    losses = model.loss(*model.sides(drawn), s_hat)
    width = model.encoder.sizes[-1]
    for k, (problem, c_hat) in enumerate(zip(problems, model.encode(drawn))):
        values = drawn[problem.world][0]
        x_mc = torch.cat([values[x] for x in FIGURE_4.observables if x not in problem.masked], 1)
        x_m = torch.cat([values[x] for x in FIGURE_4.observables if x in problem.masked], 1)

        def network(part, inputs, rows, outputs, k=k):
            for layer, (weight, bias) in enumerate(zip(part.weights, part.biases)):
                first = layer == 0
                inputs = inputs if first else torch.where(inputs < 0, inputs * 0.2, inputs)
                inputs = inputs @ (weight[k][rows] if first else weight[k]) + bias[k]
            return inputs[:, :outputs]

        mine = network(model.encoder, x_mc, slice(x_mc.shape[1]), problem.width)
        torch.testing.assert_close(c_hat, mine, atol=1e-5, rtol=1e-5)
        rows = [*range(problem.width), *range(width, width + problem.d_s_m)]
        one, two = (
            network(model.decoder, torch.cat([mine, s[:, : problem.d_s_m]], 1), rows, x_m.shape[1]) for s in s_hat
        )
        torch.testing.assert_close(losses[k], energy_score(x_m, one, two).mean(), atol=1e-5, rtol=1e-5)


def test_problems_trained_together_do_not_touch_one_another():
    world, indices = NonlinearHierarchy(FIGURE_4), torch.arange(8)
    mine = Problem(world, ("x1",))
    others = [Problem(NonlinearHierarchy(FIGURE_4, 5), MASKS[2]), Problem(world, MASKS[2], loss="squared")]
    found = []
    for problems in ([mine, others[0]], [others[1], mine]):
        model = train_autoencoders(problems, steps=40, batch=32, hidden=16)
        found.append(model.encode(draw(problems, indices))[problems.index(mine)])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_a_trained_encoder_finds_c_and_an_untrained_one_does_not():
    worlds = [NonlinearHierarchy(PAIR, seed) for seed in (0, 1)]
    problems = [Problem(world, ("x1",)) for world in worlds]
    trained, untrained = (score_autoencoders(train_autoencoders(problems, steps)) for steps in (400, 0))
    for after, before in zip(trained, untrained):
        assert min(after.c_from_estimate, after.estimate_from_c) > 0.95
        assert after.private_from_estimate == after.noises["x2"] < 0.03
        assert after.noises["z"] > 0.95 and abs(after.noises["x1"]) < 0.03
        assert before.private_from_estimate > 0.1


def test_the_squared_error_finds_nothing_where_the_mean_says_nothing():
    world = NonlinearHierarchy(PAIR, seed=0, mean_free=frozenset({"x1"}))
    problems = [Problem(world, ("x1",), loss=loss) for loss in ("energy", "squared")]
    energy, squared = score_autoencoders(train_autoencoders(problems, 600))
    assert energy.estimate_from_c > 0.95
    assert squared.estimate_from_c < 0.8


def test_nonlinear_reader_reads_a_planted_function_and_finds_nothing_in_noise():
    x = normals(3, 3000, 2).numpy()
    y = np.stack([np.sin(2 * x[:, 0]) * x[:, 1], np.abs(x[:, 0]), normals(4, 3000).numpy()], 1)
    r2 = nonlinear_r2(x[:2000], y[:2000], x[2000:], y[2000:])
    assert (r2[:2] > 0.97).all() and abs(r2[2]) < 0.02


def test_nonlinear_reader_survives_an_outlier():
    x = normals(6, 1600, 1).numpy()
    y = np.tanh(3 * x) + 0.1 * normals(7, 1600, 1).numpy()
    test = x[1500:].copy()
    test[0] = 6  # beyond all that the reader has seen
    assert nonlinear_r2(x[:1500], y[:1500], test, y[1500:])[0] > 0.9


def test_nonlinear_reader_is_blind_to_scale_and_refuses_a_constant():
    x = normals(5, 600, 2).numpy()
    y = np.tanh(x)
    small = nonlinear_r2(1e-4 * x[:400], 1e3 * y[:400], 1e-4 * x[400:], 1e3 * y[400:])
    np.testing.assert_allclose(small, nonlinear_r2(x[:400], y[:400], x[400:], y[400:]), atol=1e-4)
    with pytest.raises(ValueError, match="column 1 of test_y never varies"):
        nonlinear_r2(x[:400], y[:400], x[400:], np.stack([y[400:, 0], np.ones(200)], 1))


@pytest.mark.parametrize("masked", MASKS)
def test_linear_estimate_is_c_up_to_an_invertible_map(masked):
    instance = LinearGaussian(FIGURE_4, seed=2)
    x_m, x_mc = instance.loadings(masked), instance.loadings(x for x in FIGURE_4.observables if x not in masked)
    c = instance.loadings(locate_shared_information(FIGURE_4, masked).c)
    c_hat = linear_estimate(x_m, x_mc)
    assert len(c_hat) == rank(c_hat) == rank(c) == rank(c, c_hat)
    # Nothing short of that many components will do, and the visible side can compute it.
    assert rank(linear_estimate(x_m, x_mc, len(c_hat) - 1)) < rank(c)
    assert rank(x_mc, c_hat) == rank(x_mc)


def test_linear_estimate_is_the_best_encoder_of_its_width():
    instance = LinearGaussian(FIGURE_4, seed=4, noise_covariance=np.eye(12) + 0.5)
    x_m, x_mc = instance.loadings(["x1", "x4"]), instance.loadings(["x2", "x3", "x5", "x6", "x7"])

    def error(c_hat):  # of the best linear decoder, over standard normal sources
        decoder = np.linalg.lstsq(c_hat.T, x_m.T, rcond=None)[0].T
        return ((x_m - decoder @ c_hat) ** 2).sum()

    rng = np.random.default_rng(0)
    for width in (1, 2, 4):
        best = error(linear_estimate(x_m, x_mc, width))
        others = [error(rng.standard_normal((width, len(x_mc))) @ x_mc) for _ in range(200)]
        nudged = linear_estimate(x_m, x_mc, width) + 1e-2 * rng.standard_normal((width, len(x_mc))) @ x_mc
        assert best < min(*others, error(nudged))
