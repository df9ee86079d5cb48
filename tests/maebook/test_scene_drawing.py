"""Objects are drawn where they are, and a detection that is not sure enough is not drawn."""

import numpy as np
import pytest
import torch

from maebook.scene_drawing import scene_grid

IMAGE = torch.full((3, 48, 64), 100, dtype=torch.uint8)
MASK = torch.zeros(1, 48, 64, dtype=torch.uint8)
MASK[0, 20:30, 10:40] = 1
THERE = {"boxes": torch.tensor([[10.0, 20, 40, 30]]), "labels": torch.tensor([2]), "masks": MASK}
NOTHING = {name: value[:0] for name, value in THERE.items()}


def test_the_mask_is_tinted_and_its_box_lies_around_it():
    drawing = scene_grid([IMAGE, IMAGE], {"plain": None, "truth": [NOTHING, THERE]})
    axis = drawing.axes[0]
    shown = axis.images[0].get_array()
    tinted = (shown[..., :3] != 100).any(-1) & (shown[..., 3] == 255)
    rows, columns = np.nonzero(tinted)
    (box,) = axis.patches
    left, top, right, bottom = columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5
    assert left > 64 and top > 48 and tinted.sum() == MASK.sum()  # the second row and column
    assert np.allclose(box.get_bbox().extents, [left, top, right, bottom])
    assert [text.get_text() for text in drawing.legends[0].texts] == ["category 2"]


@pytest.mark.parametrize("target", [NOTHING, THERE | {"scores": torch.tensor([0.4])}])
def test_nothing_and_nothing_sure_leave_the_picture_as_it_is(target):
    drawing = scene_grid([IMAGE], {"found": [target]})
    assert (drawing.axes[0].images[0].get_array()[..., :3] == 100).all()
    assert not drawing.axes[0].patches and not drawing.legends


def test_what_is_sure_enough_is_drawn_and_categories_differ_by_more_than_colour():
    two = {name: torch.cat([value, value]) for name, value in THERE.items()} | {"labels": torch.tensor([2, 7])}
    drawing = scene_grid([IMAGE], {"found": [two | {"scores": torch.tensor([0.4, 0.9])}]}, least=0.3)
    boxes = drawing.axes[0].patches
    assert len({box.get_edgecolor() for box in boxes}) == len({str(box.get_linestyle()) for box in boxes}) == 2
