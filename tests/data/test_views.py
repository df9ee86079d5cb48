"""What a model sees of an image, against torchvision's transforms and against the crop's own definition."""

import numpy as np
import pytest
import torch
from miniature import picture
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from mae_lib import randomness
from mae_lib.data.views import VIEW_NUMBERS, as_tensor, crop_box, evaluation_view, training_view

IMAGE = picture(7, 0, (300, 210))


def test_an_evaluation_sees_what_torchvisions_transforms_give():
    theirs = Compose([Resize(256, InterpolationMode.BICUBIC), CenterCrop(224)])(IMAGE)
    assert np.array_equal(np.asarray(evaluation_view(IMAGE, 224)), np.asarray(theirs))


def test_an_image_of_the_right_size_passes_unchanged_without_a_margin():
    square = picture(7, 0, (64, 64))
    assert np.array_equal(np.asarray(evaluation_view(square, 64, share=1.0)), np.asarray(square))


@pytest.mark.parametrize("height, width", [(210, 300), (500, 375), (1, 1), (2, 900)])
def test_crops_lie_inside_and_cover_the_share_that_they_say(height, width):
    numbers = randomness.uniform(0, torch.arange(2000), "crop", (VIEW_NUMBERS,)).tolist()
    boxes = np.array([crop_box(height, width, u, (0.2, 1.0)) for u in numbers])
    top, left, h, w = boxes.T
    assert (boxes[:, 2:] >= 1).all() and (boxes[:, :2] >= 0).all()
    assert (top + h <= height).all() and (left + w <= width).all()
    if height > 200:
        area, shape = h * w / (height * width), w / h
        assert area.min() < 0.25 and area.max() <= 1 and 0.45 < area.mean() < 0.62
        unclipped = (h < height) & (w < width)
        assert shape[unclipped].min() > 0.73 and shape[unclipped].max() < 1.36
        for start, room in ((top, height - h), (left, width - w)):  # everywhere alike
            assert abs((start[room > 20] / room[room > 20]).mean() - 0.5) < 0.05


def test_the_whole_image_is_a_crop_and_half_of_the_views_are_mirrored():
    square = picture(3, 0, (48, 48))
    plain, mirrored = (training_view(square, 48, [1.0, 0.5, 0.0, 0.0, last], (1.0, 1.0)) for last in (0.5, 0.49))
    assert np.array_equal(np.asarray(plain), np.asarray(square))
    assert np.array_equal(np.asarray(mirrored), np.asarray(square)[:, ::-1])
    assert torch.equal(as_tensor(plain)[:, 3, 5], torch.tensor(square.getpixel((5, 3)), dtype=torch.uint8))
