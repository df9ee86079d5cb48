"""Theorem 2's table: all that the page and its claims read is in it."""

import pytest

from mae_lib.claims.claims import load_claims
from mae_lib.claims.verdicts import decide
from mae_lib.limits.theorem_2 import (
    COLUMNS,
    CORRELATION,
    MASKS,
    SLOPE,
    WIDTH,
    evidence,
    linear_checks,
    masks_of,
    measured_identification,
    noises_read,
    part_of,
)
from mae_lib.theory import LatentHierarchy
from mae_lib.theory.linear_gaussian import LinearGaussian


@pytest.fixture(scope="module")
def found():
    return measured_identification([0], processes=2, steps=8)


def test_it_decides_its_claims(found):
    assert tuple(found) == COLUMNS and found["seed"].nunique() == 2
    for claim, table in evidence(found).items():
        assert decide(load_claims()[claim], table).verdict != "not run", claim


def test_what_is_as_stated_stands_beside_what_is_broken(found):
    whole = part_of(found, "trained").query("condition == 'ideal'")["value"].tolist()
    assert part_of(found, SLOPE).query("condition == '0.3'")["value"].tolist() == whole
    assert {"3", "12"} <= set(part_of(found, WIDTH)["condition"]) and not part_of(found, CORRELATION).empty
    assert noises_read(found).shape == (len(MASKS), 6)


def test_in_linear_processes_all_holds_for_every_mask():
    graph = LatentHierarchy.figure_2()
    masks = masks_of(graph)
    assert len(masks) == 2 ** len(graph.observables) - 2
    assert all(all(linear_checks(LinearGaussian(graph), masked).values()) for masked in masks[:6])
