"""The evaluation sets are the variants that they say, and one probe on clean images is what they all meet."""

import numpy as np
import pytest
import torch

from mae_lib.claims.claims import paper_table
from mae_lib.metrics.probes import linear_probe
from mae_lib.metrics.robustness import SETS, VARIANT_OF, robustness, variant_sets
from mae_lib.worlds import make_world


def test_the_columns_are_those_of_table_1():
    assert tuple(paper_table("table_1", "ratio")["metric"].unique()) == SETS
    assert set(SETS) - set(VARIANT_OF) == {"IN-A"}


def test_each_set_holds_its_variant_with_the_world_s_own_options(tmp_path):
    sets = variant_sets(make_world("figurines", classes=8, seed=3), 6, tmp_path)
    assert list(sets) == list(VARIANT_OF)
    for column, one in sets.items():
        sample = make_world("figurines", classes=8, seed=3, variant=VARIANT_OF[column]).sample(torch.arange(6), "test")
        assert (one.images / 255 - sample.images).abs().max() <= 0.5 / 255 + 1e-6
        assert (one.labels == sample.labels.numpy()).all()
    # Interventions leave the class alone; the second sample is another draw.
    assert all((sets[column].labels == sets["IN1K"].labels).all() for column in ("OJN", "IN-R", "IN-S"))
    assert (sets["IN-v2"].images != sets["IN1K"].images).any()


def test_real_images_have_no_variants(tmp_path):
    with pytest.raises(ValueError, match="'digits' has no variants"):
        variant_sets(make_world("digits"), 4, tmp_path)


def blobs(count: int, seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=count)
    return np.eye(3)[labels] + noise * random.normal(size=(count, 3)), labels


def test_the_probe_is_the_same_for_every_set_and_hard_examples_are_a_part_of_the_clean_ones():
    train = blobs(200, 0, 0.4)
    tests = {"IN1K": blobs(120, 1, 0.4), "IN-v2": blobs(80, 2, 0.6), "IN-S": blobs(50, 3, 5.0)}
    reference = np.random.default_rng(4).random(120) < 0.7
    hits = robustness(*train, tests, reference)
    assert list(hits) == ["IN1K", "IN-v2", "IN-A", "IN-S"]
    for column, one in tests.items():
        assert (hits[column] == linear_probe(*train, *one).hits).all()
    assert (hits["IN-A"] == hits["IN1K"][~reference]).all()
    assert hits["IN1K"].mean() > 0.8 > 0.6 > hits["IN-S"].mean()


@pytest.mark.parametrize(
    ("reference", "message"), [(np.ones(9, bool), "misses none of 9"), (np.ones(8, bool), r"shape \(8,\)")]
)
def test_a_reference_that_gives_no_hard_examples_is_refused(reference, message):
    with pytest.raises(ValueError, match=message):
        robustness(*blobs(30, 0, 0.1), {"IN1K": blobs(9, 1, 0.1)}, reference)
