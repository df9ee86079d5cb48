"""The counter-example to Theorem 2 as printed meets every clause of Assumption 2, and its conclusion fails."""

import numpy as np
import pytest

from mae_lib.theory.two_readings import decode, draw, encode, grow, visible_from_estimate

C, S_M, S = draw(4000, seed=1)
X_M, X_MC = grow(C, S_M, S)
C_HAT, S_HAT = encode(X_MC)


def test_the_process_obeys_theorem_1_with_c_as_the_shared_part():
    assert C.min() > 0 and np.abs(S).min() > 0.5 and {-1.0, 1.0} == set(np.sign(S))
    np.testing.assert_allclose(X_MC[:, 0] - X_MC[:, 1] ** 3, C, atol=1e-12)  # c from the visible side
    np.testing.assert_array_equal(X_M, np.stack([C, S_M], -1))  # and from the masked one
    assert np.abs(np.corrcoef([C, S_M, np.abs(S), np.sign(S)]) - np.eye(4)).max() < 0.06


def test_the_model_explains_both_sides_and_is_invertible():
    np.testing.assert_allclose(decode(C_HAT, S_M), X_M, atol=1e-12)
    np.testing.assert_allclose(visible_from_estimate(C_HAT, S_HAT), X_MC, atol=1e-12)
    rng = np.random.default_rng(2)
    c_hat, s_hat = rng.choice([-1, 1], 500) * rng.uniform(0.8, 1.4, 500), rng.uniform(0.6, 2, 500)
    back = encode(visible_from_estimate(c_hat, s_hat))
    np.testing.assert_allclose(back, (c_hat, s_hat), atol=1e-12)


def test_the_jacobians_are_nowhere_singular():
    step = 1e-6
    columns = [
        (decode(C_HAT + a, S_M + b) - decode(C_HAT - a, S_M - b)) / (2 * step) for a, b in ((step, 0), (0, step))
    ]
    assert np.abs(np.linalg.det(np.stack(columns, -1))).min() > 1.4 * np.sqrt(0.5)
    columns = [
        (visible_from_estimate(C_HAT + a, S_HAT + b) - visible_from_estimate(C_HAT - a, S_HAT - b)) / (2 * step)
        for a, b in ((step, 0), (0, step))
    ]
    assert np.abs(np.linalg.det(np.stack(columns, -1))).min() > 1.4 * np.sqrt(0.5)


def test_the_encoder_is_continuous_where_there_are_images():
    near = encode(X_MC + 1e-7 * np.random.default_rng(3).standard_normal(X_MC.shape))
    assert np.abs(np.subtract(near, (C_HAT, S_HAT))).max() < 1e-4


def test_the_estimate_holds_a_private_sign_and_is_no_function_of_c():
    np.testing.assert_array_equal(np.sign(C_HAT), np.sign(S))
    # The same c with the other sign of s: c tells nothing of the sign, so E[ĉ | c] = 0 exactly.
    np.testing.assert_allclose(encode(grow(C, S_M, -S)[1])[0], -C_HAT, atol=1e-12)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_on_a_connected_support_the_same_encoder_is_a_function_of_c(sign):
    half = np.sign(S) == sign
    np.testing.assert_allclose(C_HAT[half], sign * np.sqrt(C[half]), atol=1e-12)
