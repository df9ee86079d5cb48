"""Losses without training and faults made on purpose, against formulas and the model's own loss."""

import numpy as np
import torch

from mae_lib.metrics.classic_faults import faults
from mae_lib.metrics.expected_loss import GUESSES, expected_losses, guesses, interpolated, model_loss, shape_loss
from mae_lib.training import MAE, MaskSampler

SIZES = {"width": 16, "depth": 1, "heads": 2, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


def setting(norm_pixels: bool) -> tuple[MAE, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = MAE(16, 4, norm_pixels=norm_pixels, pixel_mean=(0.4, 0.5, 0.6), pixel_std=(0.2, 0.3, 0.4), **SIZES).eval()
    hidden = MaskSampler(4, 4, 4, 0.75).sample(seed=0, step=0, rows=torch.arange(6))
    return model, torch.rand(6, 3, 16, 16), hidden


def test_a_guess_leaves_what_is_visible_and_interpolation_continues_a_plane():
    _, images, hidden = setting(False)
    pixels = hidden.view(6, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3).expand_as(images)
    for name, filled in guesses(images, hidden, 4).items():
        assert name in GUESSES and torch.equal(filled[~pixels], images[~pixels])
    row, column = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    plane = (row / 40 + column / 50)[None, None].expand(1, 3, -1, -1)
    inner = torch.zeros(1, 16, 16, dtype=torch.bool)
    inner[:, 3:11, 4:13] = True
    assert torch.allclose(interpolated(plane, inner), plane, atol=1e-6)


def test_the_losses_of_one_colour_and_of_the_truth_are_known():
    model, images, hidden = setting(False)
    found = expected_losses(images, hidden, model)
    pixels = hidden.view(6, 4, 4).repeat_interleave(4, 1).repeat_interleave(4, 2)
    colours = images.permute(0, 2, 3, 1)[pixels].double().numpy()
    off = ((colours - images.double().mean((0, 2, 3)).numpy()) / [0.2, 0.3, 0.4]) ** 2
    assert np.isclose(found["mean colour of all images"].raw, off.mean(), rtol=1e-4)
    patches = torch.rand(50, 48)
    assert np.isclose(shape_loss(torch.full((50, 48), 0.3), patches), 47 / 48, rtol=1e-3)  # no shape, nothing explained
    assert shape_loss(patches * 0.5 + 0.2, patches) < 1e-6  # the shape, in other light
    assert found["mosaic"].raw < found["mean colour of all images"].raw


def test_a_models_loss_is_its_own():
    for norm_pixels in (False, True):
        model, images, hidden = setting(norm_pixels)
        loss = model_loss(model, images, hidden)
        own = model(images, hidden).loss.item()
        assert np.isclose(loss.normalised if norm_pixels else loss.raw, own, rtol=1e-4)


def test_each_fault_is_seen_where_it_is_said_to_be():
    model, images, hidden = setting(True)
    found = faults(model, images, hidden)
    good = found["as it should be"]
    for name in ("shown without un-normalising", "patches unfolded in another order"):
        assert found[name].loss == good.loss and found[name].psnr != good.psnr  # only the picture is wrong
    assert found["mask inverted"].loss != good.loss
    assert found["no mean and deviation"].loss != good.loss
    assert torch.equal(model.pixel_mean.flatten(), torch.tensor([0.4, 0.5, 0.6]))  # the model itself is untouched
