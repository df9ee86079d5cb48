"""Baselines for a loss: the loss of guesses without training, on the same hidden patches as a model's.

Both targets of He et al. (2022) are scored. With normalised targets only a guess's shape counts: it is normalised like
the target, and scaled by the single factor that best fits all hidden patches.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from torch import Tensor

from mae_lib.metrics.reconstruction import pixel_mask
from mae_lib.training.mae import MAE, normalise, patchify, unpatchify

GUESSES = {
    "mean colour of all images": "one colour everywhere",
    "mean of what is visible": "one colour an image",
    "linear interpolation": "between the visible pixels",
    "mosaic": "the true mean colour of every hidden patch",
}


@dataclass(frozen=True)
class Loss:
    """One guess's squared error of standardised pixels, of normalised targets, and PSNR in dB, on hidden patches."""

    raw: float
    normalised: float
    psnr: float


def guesses(images: Tensor, hidden: Tensor, patch: int) -> dict[str, Tensor]:
    """Images (B, 3, H, W) in [0, 1] with their patches hidden (B, L) filled in by each of GUESSES."""
    side = images.shape[-1]
    masked = pixel_mask(hidden, side, side)[:, None]
    seen = (images * ~masked).sum((2, 3), keepdim=True) / (~masked).sum((2, 3), keepdim=True)
    patches = patchify(images, patch).unflatten(-1, (-1, 3))
    mosaic = unpatchify(patches.mean(2, keepdim=True).expand_as(patches).flatten(2), patch)
    fills = (images.mean((0, 2, 3), keepdim=True), seen, interpolated(images, masked[:, 0]), mosaic)
    return {name: torch.where(masked, fill, images) for name, fill in zip(GUESSES, fills, strict=True)}


def interpolated(images: Tensor, masked: Tensor) -> Tensor:
    """Images whose masked pixels (B, H, W) are interpolated linearly between visible ones, and taken from the nearest
    beyond the outermost."""
    filled = images.clone()
    for image, unseen in zip(filled, masked.numpy()):
        known, wanted = np.argwhere(~unseen), np.argwhere(unseen)
        values = image.permute(1, 2, 0).numpy()
        between = LinearNDInterpolator(known, values[~unseen])(wanted)
        beyond = np.isnan(between[:, 0])
        between[beyond] = NearestNDInterpolator(known, values[~unseen])(wanted[beyond])
        values[unseen] = between
    return filled


def loss_of(guess: Tensor, images: Tensor, hidden: Tensor, model: MAE) -> Loss:
    """The loss of a guess, images (B, 3, H, W) in [0, 1], under a model's patch, mean and deviation."""
    guessed, true = (patchify(x, model.patch)[hidden] for x in (guess, images))
    error = (guessed - true).unflatten(-1, (-1, 3)).square()
    raw = float((error / model.pixel_std.flatten() ** 2).mean())
    return Loss(raw, shape_loss(guessed, true), float(-10 * error.mean().log10()))


def shape_loss(guessed: Tensor, true: Tensor) -> float:
    """The loss with normalised targets of patches (N, D), the guess normalised too and scaled to fit."""
    x, y = (normalise(patches)[0] for patches in (guessed, true))
    factor = (x * y).sum() / x.square().sum().clamp(min=1e-12)
    return float((factor * x - y).square().mean())


def expected_losses(images: Tensor, hidden: Tensor, model: MAE) -> dict[str, Loss]:
    """The loss of each of GUESSES, to compare with a model's loss on these images and masks."""
    return {name: loss_of(guess, images, hidden, model) for name, guess in guesses(images, hidden, model.patch).items()}


@torch.inference_mode()
def model_loss(model: MAE, images: Tensor, hidden: Tensor) -> Loss:
    """A model's loss on both targets, whichever it was trained on.

    With normalised targets its pixels are restored with the true mean and deviation of each patch, which it did not
    predict: its PSNR is not comparable with a model's that did.
    """
    painted = model.reconstruct(images, hidden)
    found = loss_of(painted, images, hidden, model)
    return Loss(found.raw, float(model(images, hidden).loss), found.psnr) if model.norm_pixels else found
