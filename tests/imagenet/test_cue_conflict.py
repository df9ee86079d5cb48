"""The 16 entry-level classes against timm's ImageNet synsets, and decisions with a known answer."""

import pytest
import torch
from timm.data import ImageNetInfo

from mae_lib.imagenet.cue_conflict import CLASSES, MEMBERS, cues_of, entry_decisions

INFO = ImageNetInfo()


def test_sixteen_classes_of_207_members_that_share_none():
    members = [index for group in MEMBERS.values() for index in group]
    assert len(MEMBERS) == 16 and len(members) == len(set(members)) == 207
    assert tuple(sorted(CLASSES)) == CLASSES and all(0 <= index < 1000 for index in members)


@pytest.mark.parametrize(
    "name, words",
    [
        ("airplane", ["airliner"]),
        ("bear", ["bear"]),
        ("bicycle", ["bicycle", "bike"]),
        ("boat", ["boat", "canoe", "yawl", "lifeboat"]),
        ("bottle", ["bottle", "jug"]),
        ("cat", ["cat", "cougar"]),
        ("chair", ["chair", "throne"]),
        ("clock", ["clock"]),
        ("elephant", ["elephant"]),
        ("keyboard", ["keyboard"]),
        ("knife", ["cleaver"]),
        ("oven", ["rotisserie"]),
    ],
)
def test_members_are_of_their_class(name, words):
    for index in MEMBERS[name]:
        assert any(word in INFO.index_to_description(index).lower() for word in words), INFO.index_to_description(index)


def test_animals_lie_where_wordnet_puts_them():
    # ImageNet-1K is sorted by synset; dogs lie from n02085 to n02113, birds from n015 to n0206.
    for name, first, last in [("dog", "n02085", "n02114"), ("bird", "n01514", "n02058")]:
        assert all(first <= INFO.index_to_label_name(index) < last for index in MEMBERS[name])


@pytest.mark.parametrize("name", CLASSES)
def test_any_member_decides_for_its_class(name):
    logits = torch.zeros(len(MEMBERS[name]), 1000)
    logits[range(len(MEMBERS[name])), MEMBERS[name]] = 20
    assert (entry_decisions(logits) == CLASSES.index(name)).all()


def test_the_mean_counts_and_not_the_sum():
    # Ten dogs at .08 make .8 in all; one knife at .2 is far above the mean dog.
    probabilities = torch.full((1, 1000), 1e-9)
    probabilities[0, list(MEMBERS["dog"][:10])] = 0.08
    probabilities[0, MEMBERS["knife"][0]] = 0.2
    assert CLASSES[entry_decisions(probabilities.log())] == "knife"


def test_what_is_no_member_is_never_chosen():
    logits = torch.zeros(1, 1000)
    logits[0, 999] = 50  # toilet tissue
    logits[0, 766] = 1
    assert CLASSES[entry_decisions(logits)] == "oven"


def test_names_and_shapes_that_do_not_fit_are_refused():
    assert cues_of("some/folder/dog3-clock1.png") == (CLASSES.index("dog"), CLASSES.index("clock"))
    for name in ["dog3.png", "dog3-sofa1.png", "3-4.png", ""]:
        with pytest.raises(ValueError, match=r"dog3-clock1\.png"):
            cues_of(name)
    with pytest.raises(ValueError, match=r"\(2, 16\)"):
        entry_decisions(torch.zeros(2, 16))
