"""Pure noise decides nothing: every rule of every claim on scores without a difference, 200 draws of 3 and of 5 seeds.

A draw has a seed's own effect at each point, an image's own at each point, and what is left, around one mean. Means
over images, which published tables hold, are drawn without the images' own effects: what these add is left out there,
and the verdict says so. Where a rule compares with a number, the mean is that number. Rules that count checks without
noise are not drawn: one counter-example is no chance. `spread` asks for a difference of some size, so that scores
without any may rightly contradict it: it is drawn at the edge of its claim, where one point leads by just that size,
and once more without a difference at a scale of noise that is not small beside it. `nearer`, the one rule of likeness,
needs no margin: it compares two distances, and noise makes both alike.
"""

import numpy as np
import pytest

from mae_lib.claims.claims import Claim, load_claims
from mae_lib.claims.orderings import Measured, holm
from mae_lib.claims.rules import apply_rule
from mae_lib.claims.verdicts import word

DRAWS, IMAGES = 200, 8
POINTS = {"ratio": (0.1, 0.25, 0.5, 0.75, 0.9), "unit": (4, 8, 16)}
SEED, IMAGE, REST = 0.02, 0.05, 0.2  # standard deviations


def points_of(claim: Claim) -> tuple:
    """Where a claim is measured: its series', else those that its rule names."""
    if claim.series in POINTS:
        return POINTS[claim.series]
    named = claim.rule.get("points", [point for pair in claim.rule.get("pairs", ()) for point in pair])
    return tuple(dict.fromkeys(named)) if named != "all" else ("one", "two", "three")


def noise(random: np.random.Generator, shape: tuple[int, int, int], images: bool, scale: float = 1.0) -> np.ndarray:
    """What a metric scores at each point for each seed and image: (points, seeds, images), or means over images."""
    points, seeds, count = shape
    drawn = SEED * random.normal(size=(points, seeds, 1)) + REST * random.normal(size=shape)
    drawn += 0.1 * random.normal(size=(1, seeds, 1))  # at all points alike: it cancels in differences
    if images:
        whole = 0.2 * random.normal(size=(1, 1, count)) + IMAGE * random.normal(size=(points, 1, count))
        return scale * (drawn + whole)
    return scale * drawn.mean(2, keepdims=True)


def share_decided(claim: Claim, seeds: int, images: bool, lead: float = 0.0, scale: float = 1.0) -> float:
    """Of the draws, those in which the claim is anything but undecided."""
    random, points = np.random.default_rng(seeds), points_of(claim)
    basis = "seeds and images" if images else "seeds"
    decided = 0
    for _ in range(DRAWS):
        orderings = []
        for metric in claim.metrics:
            grid = noise(random, (len(points), seeds, IMAGES), images, scale) + claim.rule.get("limit", 0.5)
            grid[0] += lead
            orderings += apply_rule(claim.rule, Measured(grid, points, claim.series, metric, basis))
        decided += word(holm(orderings, claim.confidence)) != "undecided"
    return decided / DRAWS


def shape(claim: Claim) -> tuple:
    """What a claim's rule is but for the names of its points, which noise does not know; pairs as letters."""
    pairs, names = claim.rule.get("pairs", ()), {}
    pattern = "".join(chr(97 + names.setdefault(point, len(names))) for pair in pairs for point in pair)
    chosen = claim.rule.get("points", ())
    count = len(points_of(claim)) if chosen == "all" else len(chosen)
    kind, size = claim.rule["kind"], (len(claim.metrics), len(points_of(claim)))
    return kind, pattern, count, claim.rule.get("least"), claim.rule.get("direction"), *size, claim.confidence


def rules_apart() -> list[Claim]:
    """A claim for each rule that is not another's but for the names of its points."""
    measured = [claim for claim in load_claims().values() if claim.series != "none"]
    return list({shape(claim): claim for claim in reversed(measured)}.values())[::-1]


@pytest.mark.parametrize("images", [True, False], ids=["images", "means"])
@pytest.mark.parametrize("claim", rules_apart(), ids=lambda claim: claim.id)
def test_noise_leaves_a_claim_undecided(claim, images):
    least = claim.rule.get("least", 0.0)
    # Of a spread, noise is drawn as large as what it asks for: a seed's own deviation is that.
    scale = least / SEED if least else 1.0
    for seeds in (3, 5):
        assert share_decided(claim, seeds, images, scale=scale) <= 0.05
        if least:
            assert share_decided(claim, seeds, images, lead=least) <= 0.05


def test_trials_that_chance_halves_leave_a_claim_undecided():
    trials = np.random.default_rng(0).binomial(1, 0.5, size=(DRAWS, 12)).sum(1)
    words = [
        word(holm(apply_rule({"kind": "mostly"}, Measured(None, (), "none", "m", "seeds", checks=(n, 12))), 0.98))
        for n in trials
    ]
    assert np.mean([one != "undecided" for one in words]) <= 0.05


def test_every_rule_that_can_meet_noise_meets_it():
    kinds = {claim.rule["kind"] for claim in load_claims().values()}
    assert kinds - {claim.rule["kind"] for claim in rules_apart()} == {"always", "mostly"}
