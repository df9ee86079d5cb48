"""The published formula on decisions with known answers, and a probe that reads the cue that was planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mae_lib.metrics.intervals import bootstrap_interval
from mae_lib.metrics.probes import linear_probe
from mae_lib.metrics.shape_bias import has_own_texture, linear_decisions, shape_bias
from mae_lib.worlds import make_world

# shape 0, texture 1: three for shape, one for texture, two for neither; and two images without a conflict.
DECISIONS = [0, 0, 0, 1, 2, 3, 0, 1]
SHAPES = [0, 0, 0, 0, 0, 0, 0, 1]
TEXTURES = [1, 1, 1, 1, 1, 1, 0, 1]


def test_hand_made_decisions():
    found = shape_bias(DECISIONS, SHAPES, TEXTURES)
    assert found.counts == {"shape": 3, "texture": 1, "neither": 2, "same": 2}
    assert found.bias == 3 / 4 and found.shape_accuracy == 3 / 6 and found.texture_accuracy == 1 / 6
    assert found.shape_hits.tolist() == [True] * 3 + [False] * 3 and found.texture_hits.sum() == 1
    assert 0 <= found.interval.low < 3 / 4 < found.interval.high <= 1 and found.interval.count == 4


@pytest.mark.parametrize(("decisions", "bias"), [([0, 0], 1.0), ([1, 1], 0.0), ([0, 1], 0.5), ([0, 2], 1.0)])
def test_pure_and_even_decisions(decisions, bias):
    assert shape_bias(decisions, [0, 0], [1, 1]).bias == bias


def test_contributions_average_to_the_bias_and_spread_like_it():
    random = np.random.default_rng(0)
    shapes = random.integers(6, size=4000)
    textures = (shapes + random.integers(1, 6, size=4000)) % 6
    decisions = np.where(random.random(4000) < 0.4, shapes, random.integers(6, size=4000))
    found = shape_bias(decisions, shapes, textures)
    assert found.contributions.shape == (4000,) and found.contributions.mean() == pytest.approx(found.bias)
    linear = bootstrap_interval(found.contributions)
    assert (linear.low, linear.high) == pytest.approx((found.interval.low, found.interval.high), abs=0.005)
    draws = [random.integers(4000, size=4000) for _ in range(300)]  # resampling the images, undecided ones among them
    again = [(decisions == shapes)[d].sum() / ((decisions == shapes) | (decisions == textures))[d].sum() for d in draws]
    assert np.std(again) == pytest.approx(found.contributions.std() / np.sqrt(4000), rel=0.15)


def test_nothing_decided_has_no_bias():
    found = shape_bias([2, 3], [0, 0], [1, 1])
    assert np.isnan(found.bias) and np.isnan(found.interval.low) and np.isnan(found.contributions).all()
    assert found.counts["neither"] == 2 and found.shape_accuracy == found.texture_accuracy == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([0, 1], [0], [1]), "one length"),
        (([[0]], [[0]], [[1]]), "three flat lists"),
        (([], [], []), "none of 0 images"),
        (([0, 1], [0, 1], [0, 1]), "no conflict"),
    ],
)
def test_what_cannot_be_scored_is_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        shape_bias(*arrays)


def features_of_two_cues(shapes: np.ndarray, textures: np.ndarray, shape: float, texture: float) -> np.ndarray:
    """Features in which the two cues stand so far apart, in noise that is the same for both."""
    noise = np.random.default_rng(len(shapes)).normal(size=(len(shapes), 10))
    return np.concatenate([shape * np.eye(5)[shapes], texture * np.eye(5)[textures]], 1) + 0.3 * noise


@pytest.mark.parametrize(
    ("shape", "texture", "low", "high"), [(1, 0.1, 0.95, 1), (1, 1, 0.35, 0.65), (0.1, 1, 0, 0.05), (1, 0, 0.95, 1)]
)
def test_the_cue_that_is_easier_to_read_decides(shape, texture, low, high):
    random = np.random.default_rng(1)
    train, shapes = random.integers(5, size=400), random.integers(5, size=300)
    textures = (shapes + random.integers(1, 5, size=300)) % 5
    train_x = features_of_two_cues(train, train, shape, texture)
    decisions = linear_decisions(train_x, train, features_of_two_cues(shapes, textures, shape, texture))
    assert low <= shape_bias(decisions, shapes, textures).bias <= high


def test_decisions_are_the_probe_s():
    random = np.random.default_rng(2)
    train_x, test_x = random.normal(size=(200, 4)), random.normal(size=(150, 4))
    train_y, test_y = random.integers(3, 7, size=200), random.integers(3, 7, size=150)
    decisions = linear_decisions(train_x, train_y, test_x)
    assert set(decisions) <= {3, 4, 5, 6}
    assert np.array_equal(decisions == test_y, linear_probe(train_x, train_y, test_x, test_y).hits)


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_an_image_at_any_cue_strength_is_that_at_0_or_at_1(strength):
    world, indices = make_world("figurines"), torch.arange(200)
    none, full, mixed = (replace(world, cue_strength=s).sample(indices, "probe") for s in (0.0, 1.0, strength))
    own = torch.tensor(has_own_texture(replace(world, cue_strength=strength), 200, "probe"))
    assert torch.equal(torch.where(own[:, None, None, None], full.images, none.images), mixed.images)
    assert own.float().mean() == pytest.approx(strength + (1 - strength) / 16, abs=0.08)
