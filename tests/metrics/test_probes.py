"""Probes find what was planted, find nothing in noise, and refuse what they cannot judge."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from mae_lib.metrics.probes import (
    features,
    level_scores,
    linear_probe,
    nearest_neighbours,
    neighbour_purity,
    ridge_probe,
    tsne,
)
from mae_lib.worlds import Level


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


def test_a_strong_penalty_that_reads_nothing_does_not_end_the_search():
    # The class lies along small directions under one large common factor: only a weak penalty looks there.
    random = np.random.default_rng(0)
    y = random.integers(12, size=1500)
    x = 0.02 * np.eye(12)[y] + 0.01 * random.normal(size=(1500, 12)) + random.normal(size=(1500, 1))
    strong = LogisticRegression(C=1e-4).fit(x[:1000], y[:1000]).score(x[1000:], y[1000:])
    assert strong < 0.12 and linear_probe(x[:1000], y[:1000], x[1000:], y[1000:]).accuracy > 0.5


def test_an_easy_first_node_does_not_choose_the_penalty_for_a_hard_one():
    def example(count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first label is a feature; the second is a small difference of two large features."""
        random = np.random.default_rng(count)
        easy, common, small = random.normal(size=(3, count))
        x = np.stack([np.sign(easy), common + 0.05 * small, common - 0.05 * small], 1)
        return x, np.stack([easy > 0, small > 0], 1)

    assert linear_probe(*example(500), *example(300)).hits.mean(0).min() > 0.95


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
    both = np.hstack([features(Tokens(), images, pool=pool) for pool in ("cls", "mean")])
    np.testing.assert_array_equal(features(Tokens(), images, pool="both"), both)
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    assert features(Tokens(), white)[0, 0] == 1
    with pytest.raises(ValueError, match="'max'"):
        features(Tokens(), images, pool="max")


def test_each_level_is_scored_by_its_own_kind_of_reader():
    random = np.random.default_rng(5)
    levels = {
        "top": Level("class", 1, values=5),
        "middle": Level("bits", 2, values=2),
        "pose": Level("pose", 2, dim=3),
    }

    def example(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        x, labels = planted(count)
        pose = random.normal(size=(count, 2, 3))
        bits = np.stack([labels % 2, random.integers(2, size=count)], 1)
        return np.hstack([x, pose.reshape(count, 6)]), {"class": labels, "bits": bits, "pose": pose}

    (x, truth), (test_x, test_truth) = example(300), example(200)
    scores = level_scores(levels, x, truth, test_x, test_truth)
    assert list(scores) == ["top", "middle", "pose"] and all(score.shape == (200,) for score in scores.values())
    assert scores["top"].all() and scores["pose"].mean() == pytest.approx(1, abs=1e-4)
    bits = linear_probe(x, truth["bits"], test_x, test_truth["bits"])
    np.testing.assert_array_equal(scores["middle"], bits.hits.mean(1))
    flat = ridge_probe(x, truth["pose"].reshape(300, 6), test_x[:, ::-1], test_truth["pose"].reshape(200, 6))
    back = level_scores({"pose": levels["pose"]}, x, truth, test_x[:, ::-1], test_truth)
    assert back["pose"].mean() == pytest.approx(flat.r2)  # whatever R² comes out, the mean over images is it


def test_neighbours_vote_as_a_search_by_hand():
    random = np.random.default_rng(6)
    x, test_x = random.normal(size=(60, 4)), random.normal(size=(25, 4))
    y, test_y = random.integers(3, size=60), random.integers(3, size=25)
    centre, spread = x.mean(0), x.std(0)
    unit, test_unit = (
        v / np.linalg.norm(v, axis=1, keepdims=True) for v in ((x - centre) / spread, (test_x - centre) / spread)
    )
    nearest = (test_unit @ unit.T).argmax(1)
    assert (nearest_neighbours(x, y, test_x, test_y, k=1).hits == (y[nearest] == test_y)).all()
    planes = nearest_neighbours(x, np.stack([y, y], 1), test_x, np.stack([test_y, test_y], 1), k=7)
    single = nearest_neighbours(x, y, test_x, test_y, k=7)
    assert planes.hits.shape == (25, 2) and (planes.hits == single.hits[:, None]).all()


def test_neighbours_find_what_is_planted_and_chance_in_noise():
    random = np.random.default_rng(7)
    assert nearest_neighbours(*planted(300), *planted(200)).accuracy == 1
    noise = nearest_neighbours(
        random.normal(size=(600, 8)),
        random.integers(4, size=600),
        random.normal(size=(2000, 8)),
        random.integers(4, size=2000),
    )
    assert noise.accuracy == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 2000))
    with pytest.raises(ValueError, match="k is 301"):
        nearest_neighbours(*planted(300), *planted(200), k=301)


def test_the_plane_keeps_planted_classes_apart_and_is_the_same_every_time():
    x, y = planted(90, classes=3)
    plane = tsne(x)
    assert plane.shape == (90, 2) and neighbour_purity(plane, y).mean() > 0.95
    np.testing.assert_array_equal(plane, tsne(x))
    assert tsne(x[:5]).shape == (5, 2)
    with pytest.raises(ValueError, match="at least 4"):
        tsne(x[:3])


def test_purity_counts_neighbours_of_the_same_label():
    line = np.array([0.0, 1, 2.1, 10, 11, 12.1])
    np.testing.assert_array_equal(neighbour_purity(line, [0, 0, 1, 1, 1, 1], k=2), [0.5, 0.5, 0, 1, 1, 1])
    # An example is never its own neighbour, even where others lie on top of it.
    np.testing.assert_array_equal(neighbour_purity(np.zeros((3, 2)), [0, 1, 2], k=2), [0, 0, 0])
    random = np.random.default_rng(8)
    purity = neighbour_purity(random.normal(size=(800, 3)), random.integers(4, size=800))
    assert purity.mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("labels", "k", "message"), [(np.zeros(5), 2, "shape"), (np.zeros(6), 6, "k is 6"), (np.zeros(6), 0, "k is 0")]
)
def test_bad_purities_are_refused(labels, k, message):
    with pytest.raises(ValueError, match=message):
        neighbour_purity(np.eye(6), labels, k=k)
