"""Objects are drawn where they are, and a detection that is not sure enough is not drawn."""

import torch

from mae_lib.reporting.detection_drawing import annotated

IMAGE = torch.full((3, 48, 48), 100, dtype=torch.uint8)
MASK = torch.zeros(1, 48, 48, dtype=torch.uint8)
MASK[0, 20:30, 10:40] = 1
THERE = {"boxes": torch.tensor([[10.0, 20, 40, 30]]), "labels": torch.tensor([2]), "masks": MASK}


def test_the_mask_and_its_box_change_and_the_rest_stays():
    drawing = annotated(IMAGE, THERE)
    assert drawing.shape == (3, 192, 192) and drawing.dtype == torch.uint8
    changed = (drawing != 100).any(0)
    assert changed[85:115, 50:155].all() and not changed[:60].any() and not changed[130:].any()


def test_nothing_and_nothing_sure_leave_the_picture_as_it_is():
    empty = {name: value[:0] for name, value in THERE.items()}
    unsure = THERE | {"scores": torch.tensor([0.4])}
    for target in (empty, unsure):
        assert (annotated(IMAGE, target) == 100).all()
    assert (annotated(IMAGE, unsure, least=0.3) != 100).any()
