"""Probes find what was planted, find nothing in noise, and refuse what they cannot judge."""

import numpy as np
import pytest
import torch
from torch import nn

from mae_lib.evaluation.separability import features, linear_probe, ridge_probe


def planted(count: int, classes: int = 5, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Features of 12 numbers in which the class is one of `classes` directions, on very different scales."""
    random = np.random.default_rng(count)
    labels = random.integers(classes, size=count)
    x = np.eye(12)[labels] + noise * random.normal(size=(count, 12))
    return x * np.logspace(-3, 3, 12), labels


def test_a_planted_class_is_read_perfectly():
    score = linear_probe(*planted(300), *planted(200))
    assert score.accuracy == 1 and score.hits.shape == (200,) and score.hits.all()


def test_noise_gives_chance():
    random = np.random.default_rng(0)
    train, test = random.normal(size=(600, 8)), random.normal(size=(2000, 8))
    score = linear_probe(train, random.integers(4, size=600), test, random.integers(4, size=2000))
    assert score.accuracy == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 2000))


def test_a_label_a_node_gets_a_probe_each():
    (x, y), (test_x, test_y) = planted(300), planted(200)
    random = np.random.default_rng(1)
    score = linear_probe(
        x, np.stack([y, random.integers(2, size=300)], 1), test_x, np.stack([test_y, random.integers(2, size=200)], 1)
    )
    assert score.hits.shape == (200, 2) and score.hits[:, 0].all() and 0.3 < score.hits[:, 1].mean() < 0.7
    assert score.accuracy == score.hits.mean()


def test_an_unseen_test_class_is_a_miss():
    (x, y), (test_x, test_y) = planted(300), planted(200)
    unseen = np.where(test_y == 0, 99, test_y)
    assert linear_probe(x, y, test_x, unseen).accuracy == pytest.approx((test_y != 0).mean())


def test_ridge_reads_a_linear_map_and_nothing_from_noise():
    random = np.random.default_rng(2)
    x, test_x, weights = random.normal(size=(400, 10)), random.normal(size=(300, 10)), random.normal(size=(10, 3))
    linear = ridge_probe(x, x @ weights + 2, test_x, test_x @ weights + 2)
    assert linear.r2 == pytest.approx(1, abs=1e-6) and linear.squared_errors.shape == (300, 3)
    assert ridge_probe(x, x @ weights[:, 0], test_x, test_x @ weights[:, 0]).squared_errors.shape == (300, 1)
    noise = ridge_probe(x, random.normal(size=(400, 3)), test_x, random.normal(size=(300, 3)))
    assert -0.2 < noise.r2 < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_y": np.zeros(3)}, "must agree"),
        ({"test_x": np.zeros((4, 3))}, "columns"),
        ({"train_y": np.ones(6, dtype=int)}, "two classes"),
        ({"train_x": np.full((6, 2), np.nan)}, "NaN"),
        ({"train_x": np.zeros((6, 2, 2))}, "shape"),
    ],
)
def test_bad_probes_are_refused(change, message):
    sound = {
        "train_x": np.eye(6)[:, :2],
        "train_y": np.arange(6) % 2,
        "test_x": np.eye(4)[:, :2],
        "test_y": [0, 1, 0, 1],
    }
    with pytest.raises(ValueError, match=message):
        linear_probe(**sound | change)


def test_a_constant_target_has_no_r2():
    with pytest.raises(ValueError, match="never varies"):
        ridge_probe(np.eye(4), np.arange(4.0), np.eye(4), np.ones(4))


class Tokens(nn.Module):
    """An encoder whose [CLS] token is each image's red mean and whose two patch tokens hold 1 and 3."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        red = images[:, 0].mean((1, 2)).view(-1, 1, 1)
        return torch.cat([red, torch.ones_like(red), 3 * torch.ones_like(red)], dim=1)


def test_features_pool_and_batch():
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(features(Tokens(), images, batch=2)[:, 0], images[:, 0].mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(features(Tokens(), images, pool="mean"), np.full((5, 1), 2.0))
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    assert features(Tokens(), white)[0, 0] == 1
    with pytest.raises(ValueError, match="'max'"):
        features(Tokens(), images, pool="max")
