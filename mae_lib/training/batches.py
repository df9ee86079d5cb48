"""The batches of pretraining: functions of (step, rows), so that any worker can make any part of any batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from mae_lib import randomness
from mae_lib.data.files import Broken
from mae_lib.data.loading import Ahead, Visits
from mae_lib.training.config import PretrainConfig
from mae_lib.training.hardware import Hardware
from mae_lib.training.structured_masks import inner_weights


def mae_batches(
    config: PretrainConfig, images: Tensor, device: torch.device
) -> Callable[[int, Tensor], tuple[Tensor, ...]]:
    """A function from (step, rows) to float images in [0, 1] on `device` and masks on the CPU, with the weights of
    their patches in the loss where `config.boundary` leaves some out.

    Images are stored as uint8, on the device unless that is the CPU. Every pass over them is a new permutation. Raises
    ValueError for images that do not fit the config.
    """
    if images.shape != (config.unique_images, 3, config.image_size, config.image_size):
        raise ValueError(
            f"images of shape {tuple(images.shape)} do not fit the config, {config.unique_images} "
            f"of {config.image_size} pixels"
        )
    hidden, images = hidden_patches(config), images.to(device)

    def batch_of(step: int, rows: Tensor) -> tuple[Tensor, ...]:
        visits = step * config.batch + rows
        chosen = randomness.shuffled(config.seed, visits, len(images))
        batch = images[chosen.to(device)].float().div_(255)
        if config.flip:
            mirrored = randomness.integers(2, config.seed, visits, "flip").bool().to(device)
            batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
        return (batch, *hidden(step, rows))

    return batch_of


def hidden_patches(config: PretrainConfig) -> Callable[[int, Tensor], tuple[Tensor, ...]]:
    """A function from (step, rows) to masks on the CPU, with the weights of their patches in the loss where
    `config.boundary` leaves some out."""
    masks = config.masks()

    @lru_cache(maxsize=1)  # of the whole batch: a patch's weight depends on how many patches count in all its parts
    def weights(step: int) -> Tensor:
        return inner_weights(masks.sample(config.seed, step, torch.arange(config.batch)), config.boundary)

    def hidden(step: int, rows: Tensor) -> tuple[Tensor, ...]:
        sampled = masks.sample(config.seed, step, rows)
        return (sampled, weights(step)[rows]) if config.boundary else (sampled,)

    return hidden


@dataclass
class Batches:
    """The batches of one pretraining run on files; `broken` are the images that could not be read."""

    config: PretrainConfig
    visits: Visits
    broken: Broken
    hardware: Hardware

    @cached_property
    def _device(self) -> torch.device:
        return self.hardware.torch_device

    @cached_property
    def _ahead(self) -> Ahead:
        config, pin = self.config, self._device.type == "cuda"
        pieces, workers = self.hardware.rows(config.batch), self.hardware.workers
        return Ahead(self.visits, config.batch, config.steps, pieces, self.broken, workers, pin)

    @cached_property
    def _hidden(self) -> Callable[[int, Tensor], tuple[Tensor, ...]]:
        return hidden_patches(self.config)

    def __call__(self, step: int, rows: Tensor) -> tuple[Tensor, ...]:
        images, _ = self._ahead(step, rows)
        images = images.to(self._device, non_blocking=True).float().div_(255)
        return (images, *self._hidden(step, rows))
