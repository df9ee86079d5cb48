"""Common mistakes with masked autoencoders, made on purpose, and their effect on the loss and the picture.

None needs retraining: each changes a trained model's input or how its prediction is shown.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mae_lib.metrics.reconstruction import pixel_mask
from mae_lib.training.mae import MAE, patchify, split_mask, unpatchify


@dataclass(frozen=True)
class Case:
    """The loss that a log would show, and the picture (B, 3, H, W) with its PSNR in dB on the painted pixels."""

    loss: float
    painted: Tensor
    psnr: float


def _case(loss: Tensor, painted: Tensor, images: Tensor, hidden: Tensor) -> Case:
    painted = painted.clamp(0, 1)
    masked = pixel_mask(hidden, *images.shape[2:])[:, None].expand_as(images)
    return Case(float(loss), painted, float(-10 * (painted - images)[masked].square().mean().log10()))


def sound(model: MAE, images: Tensor, hidden: Tensor) -> Case:
    """No fault."""
    return _case(model(images, hidden).loss, model.reconstruct(images, hidden), images, hidden)


def not_brought_back(model: MAE, images: Tensor, hidden: Tensor) -> Case:
    """The prediction of normalised patches is shown as if it were standardised pixels."""
    output = model(images, hidden)
    return _case(output.loss, _shown(model, output.prediction, images, hidden), images, hidden)


def order_of_axes(model: MAE, images: Tensor, hidden: Tensor) -> Case:
    """A patch is stored as row, column, channel, and unfolded as channel, row, column."""
    guess = patchify(model.reconstruct(images, hidden), model.patch)
    turned = guess.unflatten(-1, (3, -1)).transpose(-1, -2).flatten(-2)
    painted = unpatchify(torch.where(hidden[..., None], turned, guess), model.patch)
    return _case(model(images, hidden).loss, painted, images, hidden)


def mask_inverted(model: MAE, images: Tensor, hidden: Tensor) -> Case:
    """The encoder sees the patches it should not see, and predicts the rest."""
    return sound(model, images, ~hidden)


def not_standardised(model: MAE, images: Tensor, hidden: Tensor) -> Case:
    """Images are not standardised as they were in training."""
    other = copy.deepcopy(model)
    other.pixel_mean.zero_()
    other.pixel_std.fill_(1.0)
    return sound(other, images, hidden)


def _shown(model: MAE, prediction: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
    """Images with standardised patches (B, M, D) put where they were hidden."""
    patches = patchify((images - model.pixel_mean) / model.pixel_std, model.patch)
    masked = split_mask(hidden, model.grid**2)[1]
    whole = patches.scatter(1, masked[..., None].expand_as(prediction), prediction)
    return unpatchify(whole, model.patch) * model.pixel_std + model.pixel_mean


FAULTS: dict[str, Callable[[MAE, Tensor, Tensor], Case]] = {
    "as it should be": sound,
    "shown without un-normalising": not_brought_back,
    "patches unfolded in another order": order_of_axes,
    "mask inverted": mask_inverted,
    "no mean and deviation": not_standardised,
}


@torch.inference_mode()
def faults(model: MAE, images: Tensor, hidden: Tensor) -> dict[str, Case]:
    """Each of FAULTS on images (B, 3, H, W) in [0, 1] and masks (B, L), True = hidden, of a model in eval mode."""
    return {name: fault(model, images, hidden) for name, fault in FAULTS.items()}
