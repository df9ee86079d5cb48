"""Belief propagation against counting: every class with every choice of synonyms."""

from itertools import product

import pytest
import torch

from mae_lib.limits.grammar_posterior import posterior
from mae_lib.worlds import make_world
from mae_lib.worlds.figurine_grammar import corners_of, parts_of


def every_figurine(classes: int, synonyms: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All equally likely (class, parts, corners) of the grammar."""
    choices = list(product(range(classes), *[range(synonyms)] * 4))
    labels, made = torch.tensor([c[0] for c in choices]), torch.tensor([c[1:] for c in choices])
    parts = parts_of(labels, classes)
    return labels, parts, corners_of(parts, made)


def counted(corners: torch.Tensor, seen: torch.Tensor, classes: int, synonyms: int) -> tuple[torch.Tensor, ...]:
    """The shares of class, part symbols and corner styles among the figurines that agree with one image's corners."""
    labels, parts, all_corners = every_figurine(classes, synonyms)
    agree = ((all_corners == corners) | ~seen).all(1)
    count = int(agree.sum())
    return (
        torch.bincount(labels[agree], minlength=classes) / count,
        torch.stack([torch.bincount(parts[agree, k], minlength=4) / count for k in range(4)]),
        torch.stack([torch.bincount(all_corners[agree, k], minlength=4) / count for k in range(16)]),
    )


@pytest.mark.parametrize(("classes", "synonyms"), [(12, 2), (16, 4), (8, 3), (4, 1)])
def test_it_equals_counting_all_figurines(classes, synonyms):
    world = make_world("figurines", classes=classes, synonyms=synonyms)
    corners = world.latents(torch.arange(12))["corners"]
    share = torch.linspace(0, 1, 12)[:, None]
    seen = torch.rand(12, 16, generator=torch.Generator().manual_seed(0)) < share
    beliefs = posterior(corners, seen, classes, synonyms)
    for row in range(12):
        wanted = counted(corners[row], seen[row], classes, synonyms)
        for found, expected in zip((beliefs.classes[row], beliefs.parts[row], beliefs.corners[row]), wanted):
            torch.testing.assert_close(found, expected.double(), atol=1e-7, rtol=0)


def test_nothing_seen_is_the_prior_and_everything_seen_is_certain():
    z = make_world("figurines").latents(torch.arange(50))
    none = posterior(z["corners"], torch.zeros(50, 16, dtype=torch.bool))
    torch.testing.assert_close(none.classes, torch.full((50, 12), 1 / 12, dtype=torch.float64))
    every = posterior(z["corners"], torch.ones(50, 16, dtype=torch.bool))
    assert (every.classes.argmax(1) == z["class"]).all() and (every.parts.argmax(2) == z["parts"]).all()
    assert (every.corners.argmax(2) == z["corners"]).all()
    assert all((values.amax(-1) == 1).all() for values in (every.classes, every.parts, every.corners))


def test_beliefs_are_calibrated():
    """The mean of the highest belief is the share of right answers, level by level."""
    z = make_world("figurines").latents(torch.arange(6000))
    seen = torch.rand(6000, 16, generator=torch.Generator().manual_seed(1)) < 0.25
    beliefs = posterior(z["corners"], seen)
    for belief, truth in ((beliefs.classes, z["class"]), (beliefs.parts, z["parts"]), (beliefs.corners, z["corners"])):
        hits = (belief.argmax(-1) == truth).double()
        assert float(belief.amax(-1).mean()) == pytest.approx(float(hits.mean()), abs=0.02)


def test_any_two_corners_of_two_parts_give_the_class_away():
    """The code's distance: two corners determine a part, two parts determine the class."""
    z = make_world("figurines", classes=16, synonyms=4).latents(torch.arange(64))
    seen = torch.zeros(64, 16, dtype=torch.bool)
    seen[:, [1, 3, 8, 10]] = True
    beliefs = posterior(z["corners"], seen, 16, 4)
    assert (beliefs.classes.amax(1) == 1).all() and (beliefs.classes.argmax(1) == z["class"]).all()
    seen[:, [8, 10]] = False
    assert posterior(z["corners"], seen, 16, 4).classes.amax(1).max() == 0.25


def test_what_is_not_seen_is_not_looked_at():
    corners = make_world("figurines").latents(torch.arange(8))["corners"]
    seen = torch.arange(16).expand(8, 16) < 5
    twisted = torch.where(seen, corners, 3 - corners)
    assert torch.equal(posterior(corners, seen).classes, posterior(twisted, seen).classes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corners": torch.zeros(2, 9, dtype=torch.long)}, r"corners have shape \(2, 9\)"),
        ({"seen": torch.ones(2, 16)}, "seen is torch.float32"),
        ({"classes": 10}, "classes is 10"),
        ({"synonyms": 5}, "synonyms is 5"),
        ({"corners": torch.arange(32).view(2, 16) // 3 % 4}, "no figurine of 12 classes shows the corners of row 0"),
    ],
)
def test_bad_input_is_refused(change, said):
    given = {"corners": torch.zeros(2, 16, dtype=torch.long), "seen": torch.ones(2, 16, dtype=torch.bool)}
    with pytest.raises(ValueError, match=said):
        posterior(**(given | change))
