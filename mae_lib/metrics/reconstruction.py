"""How close a reconstruction is to its original: two structural and two pixel-level scores (Section 3.1, Figure 5).

SSIM (Wang et al. 2004) and FSIM (Zhang et al. 2011) come from piq, PSNR and MSE from their formulas. SSIM is the mean
over the three colours; FSIM is the paper's luminance index, not its chromatic variant FSIMc. An image must be at least
11 px a side, SSIM's window. FSIM runs there too, but its four filters have wavelengths 6, 12, 24 and 48 px: on an image
below 48 px the coarsest one sees less than a period, so FSIM compares models at one size, not across sizes.

The paper scores images that the encoder saw whole. A plain MAE never trains its predictions of visible patches, so such
a score also measures how it extrapolates; scoring only the masked pixels of a masked image matches its training.
"""

import math

import numpy as np
import piq
import torch
from torch import Tensor, nn

from mae_lib.metrics.batches import device_of, unit_images
from mae_lib.training.structured_masks import inner_patches

SMALLEST_SIDE = 11
SCORES = ("ssim", "fsim", "psnr", "mse")


def _check(images: Tensor, reconstructions: Tensor, masked: Tensor | None) -> None:
    if images.shape != reconstructions.shape:
        shapes = f"{tuple(reconstructions.shape)}, the images {tuple(images.shape)}"
        raise ValueError(f"reconstructions have shape {shapes}: they must agree")
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < SMALLEST_SIDE:
        raise ValueError(f"images have shape {tuple(images.shape)}: give (B, 3, H, W), sides from {SMALLEST_SIDE} px")
    if not torch.isfinite(reconstructions).all():
        raise ValueError("reconstructions hold NaN or infinite values: the model diverged")
    if masked is None:
        return
    if masked.dtype != torch.bool or masked.shape != (len(images), *images.shape[2:]):
        expected = (len(images), *images.shape[2:])
        raise ValueError(f"masked is {masked.dtype} {tuple(masked.shape)}: give bool {expected}, True = masked")
    if not masked.flatten(1).any(1).all():
        raise ValueError("an image has no masked pixel, so it has no score on masked pixels: leave `masked` out")


def _psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB for a peak of 1; infinite where nothing differs."""
    return -10 * torch.log10(mse)


def _score_chunk(images: Tensor, guess: Tensor, masked: Tensor | None) -> dict[str, Tensor]:
    squared = (guess - images).square().mean(1)  # (B, H, W)
    mse = squared.mean((1, 2))
    scores = {
        "ssim": piq.ssim(guess, images, data_range=1.0, reduction="none"),
        "fsim": piq.fsim(guess, images, data_range=1.0, reduction="none", chromatic=False),
        "psnr": _psnr(mse),
        "mse": mse,
    }
    if masked is not None:
        mse_masked = (squared * masked).sum((1, 2)) / masked.sum((1, 2))
        scores |= {"psnr_masked": _psnr(mse_masked), "mse_masked": mse_masked}
    return scores


@torch.inference_mode()
def reconstruction_scores(
    images: Tensor, reconstructions: Tensor, masked: Tensor | None = None, chunk: int = 64
) -> dict[str, np.ndarray]:
    """Scores of `reconstructions` against `images`, both (B, 3, H, W); each score is float64 (B,).

    `ssim` and `fsim` (1 for identical images), `psnr` in dB for a peak of 1 (infinite for identical images), `mse`.
    Images are float in [0, 1] or uint8. `masked`, bool (B, H, W), adds `psnr_masked` and `mse_masked`, over masked
    pixels only; SSIM and FSIM compare windows, which a mask would cut, so they always cover the whole image.

    Raises ValueError for shapes that differ, sides below 11 px, values outside of [0, 1], or not finite.
    """
    _check(images, reconstructions, masked)
    parts, start, where = [], 0, reconstructions.device
    guesses = unit_images(reconstructions, chunk, what="reconstructions")
    for batch, guess in zip(unit_images(images, chunk, where), guesses, strict=True):
        rows = slice(start, start := start + len(batch))
        hidden = None if masked is None else masked[rows].to(batch.device)
        # float32 throughout: piq has no kernels for half precision.
        parts.append(_score_chunk(batch, guess.to(where), hidden))
    return {name: torch.cat([part[name] for part in parts]).double().cpu().numpy() for name in parts[0]}


def pixel_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """A mask of patches (B, grid * grid), row by row, as one of pixels (B, height, width).

    Raises ValueError when the patches do not form a square grid that tiles the image.
    """
    grid = math.isqrt(mask.shape[1])
    if grid * grid != mask.shape[1] or height % grid or width % grid:
        raise ValueError(f"{mask.shape[1]} patches a mask do not tile {height} x {width} px in a square grid")
    square = mask.view(-1, grid, grid)
    return square.repeat_interleave(height // grid, 1).repeat_interleave(width // grid, 2)


@torch.inference_mode()
def score_reconstructions(
    model: nn.Module, images: Tensor, mask: Tensor | None = None, batch: int = 64
) -> dict[str, np.ndarray]:
    """Scores of `model.reconstruct` on `images` (B, 3, H, W), as from `reconstruction_scores`.

    Without `mask` the encoder sees the whole image, as in the paper's Figure 5. With `mask`, bool (B, patches) with
    True = masked, it sees the rest, and the scores on masked pixels are added. Predictions outside of [0, 1] are
    clamped; `clamped` is their share. The model's mode is kept, so call its `.eval()` first.

    Raises ValueError as `reconstruction_scores` does, or for a mask with another number of rows than images.
    """
    if mask is not None and len(mask) != len(images):
        raise ValueError(f"{len(mask)} masks for {len(images)} images: give one mask an image")
    device, parts, start = device_of(model), [], 0
    for chunk in unit_images(images, batch, device):
        rows = slice(start, start := start + len(chunk))
        hidden = None if mask is None else mask[rows].to(device)
        pixels = None if hidden is None else pixel_mask(hidden, *chunk.shape[2:])
        raw = model.reconstruct(chunk, hidden).float()
        _check(chunk, raw, pixels)  # clamped, an infinite value would look like a white pixel
        guess = raw.clamp(0, 1)
        scores = reconstruction_scores(chunk, guess, pixels, chunk=batch)
        parts.append(scores | {"clamped": (raw != guess).double().mean((1, 2, 3)).cpu().numpy()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@torch.inference_mode()
def painted_in_turn(model: nn.Module, images: Tensor, parts: int = 8) -> Tensor:
    """Images (B, 3, H, W) in [0, 1], with every patch painted by the model while it was hidden.

    The patches are split at random into `parts` parts, the same for all images. One part at a time is hidden and the
    others are visible: nearly whole images, and only predictions of the kind trained for.
    """
    grid, (height, width) = model.grid, images.shape[2:]
    turn = torch.randperm(grid**2, generator=torch.Generator().manual_seed(0)) % parts
    painted = torch.zeros_like(images)
    for part in range(parts):
        hidden = (turn == part).expand(len(images), -1)
        pixels = pixel_mask(hidden, height, width)[:, None].to(images.device)
        painted = torch.where(pixels, model.reconstruct(images, hidden), painted)
    return painted.clamp(0, 1)


@torch.inference_mode()
def boundary_lead(model: nn.Module, images: Tensor, mask: Tensor, batch: int = 64) -> np.ndarray:
    """How much better hidden patches next to visible ones are predicted than the other hidden ones: float64 (B,).

    The mean squared error of the latter minus that of the former, for `mask` (B, patches), True = masked, of `images`
    (B, 3, H, W). Next to means among the eight neighbours. An image without one kind gets the mean of the others, which
    leaves the mean unchanged; if all lack one, `NaN`.
    """
    device, parts, start = device_of(model), [], 0
    for chunk in unit_images(images, batch, device):
        hidden = mask[start : (start := start + len(chunk))].to(device)
        errors = (model.reconstruct(chunk, hidden).float().clamp(0, 1) - chunk).square().mean(1)
        inner = inner_patches(hidden, 1)
        far, near = (pixel_mask(which, *chunk.shape[2:]) for which in (inner, hidden & ~inner))
        parts.append((_mean_where(errors, far) - _mean_where(errors, near)).double().cpu().numpy())
    leads = np.concatenate(parts)
    empty = np.isnan(leads)
    return leads if empty.all() else np.where(empty, leads[~empty].mean(), leads)


def _mean_where(values: Tensor, which: Tensor) -> Tensor:
    """The mean over the chosen pixels of each image; NaN where there are none."""
    return (values * which).sum((1, 2)) / which.sum((1, 2))
