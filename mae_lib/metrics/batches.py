"""Images as a model expects them, batch by batch, so that an evaluation's memory does not grow with its size."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters lie; the CPU for a model without any."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def unit_images(
    images: Tensor, batch: int, device: torch.device | str = "cpu", what: str = "images"
) -> Iterator[Tensor]:
    """Float32 batches in [0, 1] of `images` (B, 3, H, W), which are float in [0, 1] or uint8 in 0..255.

    Raises ValueError, which calls them `what`, for another shape or dtype, for no images, or for values outside [0, 1].
    """
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ValueError(f"{what} have shape {tuple(images.shape)}: give at least one, as (B, 3, H, W)")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"{what} are {images.dtype}: give floats in [0, 1] or uint8 in 0..255")
    for chunk in images.split(batch):
        chunk = chunk.to(device).float() / 255 if chunk.dtype == torch.uint8 else chunk.to(device).float()
        if not (chunk.min() >= -1e-4 and chunk.max() <= 1 + 1e-4):
            span = f"[{chunk.min():.4g}, {chunk.max():.4g}]"
            raise ValueError(f"{what} have values that span {span}: floats must lie in [0, 1]")
        yield chunk.clamp(0, 1)
