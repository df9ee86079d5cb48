"""Scenes are functions of (seed, split, index), and what is annotated is what is to be seen."""

from dataclasses import replace

import pytest
import torch
from drawn_hands import use_small_pack

from mae_lib.transfer.drawn_scenes import DrawnScenes
from mae_lib.transfer.scenes import Scenes

SCENES = Scenes(size=48, side=(12.0, 24.0), objects=(0, 4))


@pytest.fixture(scope="module")
def batch():
    return SCENES.sample(torch.arange(48))


def test_a_scene_is_the_same_in_any_batch(batch):
    few = SCENES.sample(torch.tensor([31, 4]))
    for name, value in vars(few).items():
        assert torch.equal(value, getattr(batch, name)[[31, 4]]), name
    assert not torch.equal(SCENES.sample(torch.tensor([4]), "val").images, batch.images[4:5])
    assert not torch.equal(
        Scenes(size=48, side=(12.0, 24.0), seed=1).sample(torch.tensor([4])).images, batch.images[4:5]
    )


def test_visible_masks_do_not_overlap_and_boxes_hug_them(batch):
    assert batch.masks.sum(1).max() == 1
    for mask, box in zip(batch.masks[batch.present], batch.boxes[batch.present]):
        y, x = mask.nonzero().T
        assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert not batch.masks[~batch.present].any()


def test_numbers_and_sizes_of_objects_are_those_asked_for(batch):
    counts = set(batch.present.sum(1).tolist())
    assert {0, 1, 2, 3} <= counts <= {0, 1, 2, 3, 4}
    alone = batch.present.sum(1) == 1
    sides = (batch.boxes[alone][batch.present[alone]][:, 2:] - batch.boxes[alone][batch.present[alone]][:, :2]).amax(1)
    assert sides.min() >= 10 and sides.max() <= 26


def test_the_first_object_hides_the_others():
    crowded = Scenes(size=32, side=(24.0, 30.0), objects=(3, 3), least_visible=0.05).sample(torch.arange(16))
    assert crowded.present[:, 0].all()
    shown = crowded.masks.sum((2, 3)).float().mean(0)
    assert shown[0] > shown[1] > shown[2]


def test_what_is_hidden_too_much_is_not_there():
    options = {"size": 32, "side": (24.0, 30.0), "objects": (3, 3)}
    counts = [Scenes(**options, least_visible=least).sample(torch.arange(16)).present.sum() for least in (0.05, 0.9)]
    assert counts[0] > counts[1] >= 16


def test_without_objects_a_scene_is_ground_and_grain():
    empty = Scenes(size=32, side=(12.0, 24.0), objects=(0, 1)).sample(torch.arange(16))
    ground = empty.images[~empty.present.any(1)]
    assert len(ground) and ground.flatten(2).std(2).max() < 0.06
    assert not empty.boxes[~empty.present].any()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": 40}, "size is 40: it must be a positive multiple of 16"),
        ({"objects": (3, 2)}, "objects is"),
        ({"side": (16.0, 80.0)}, "side is"),
        ({"least_visible": 0.0}, "least_visible is"),
        ({"categories": 5}, "classes is 5"),
    ],
)
def test_an_option_out_of_range_is_refused(option, message):
    with pytest.raises(ValueError, match=message):
        Scenes(**option)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_small_pack(patch, tmp_path_factory.mktemp("pack"))
        yield DrawnScenes(size=48, side=(16.0, 30.0), objects=(0, 3), categories=4)


def test_scenes_of_drawings_are_the_same_in_any_batch_and_their_masks_are_apart(drawings):
    many, few = drawings.sample(torch.arange(40)), drawings.sample(torch.tensor([31, 4]))
    for name, value in vars(few).items():
        assert torch.equal(value, getattr(many, name)[[31, 4]]), name
    assert not torch.equal(drawings.sample(torch.tensor([4]), "val").images, many.images[4:5])
    assert many.masks.sum(1).max() == 1 and not many.masks[~many.present].any()
    assert {0, 1, 2, 3} >= set(many.present.sum(1).tolist()) > {0}
    for mask, box in zip(many.masks[many.present], many.boxes[many.present]):
        y, x = mask.nonzero().T
        assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_a_drawing_alone_in_a_scene_is_laid_on_its_ground(drawings):
    """What is painted and what is annotated are one: without its drawings a scene changes on their masks, nowhere else
    than at their soft edges."""
    batch = drawings.sample(torch.arange(40))
    bare = replace(drawings, objects=(0, 3), least_visible=1.0)
    hidden = bare.sample(torch.arange(40))  # the same scenes, in which what is covered at all is left out
    gone = batch.present & ~hidden.present
    assert gone.any() and not (hidden.present & ~batch.present)[:, 0].any()
    changed = (batch.images != hidden.images).any(1)
    alike = ~gone.any(1)
    assert not changed[alike].any() and changed[~alike].flatten(1).any(1).all()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": 40}, "size is 40: it must be a positive multiple of 16"),
        ({"objects": (3, 2)}, "objects is"),
        ({"side": (8.0, 80.0)}, "side is"),
        ({"categories": 1}, "concepts is 1"),
        ({"designers": "nobody"}, "designers is 'nobody'"),
    ],
)
def test_an_option_of_drawn_scenes_out_of_range_is_refused(option, message):
    with pytest.raises(ValueError, match=message):
        DrawnScenes(**option)
