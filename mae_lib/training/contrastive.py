"""Contrastive pretraining of the masked autoencoder's encoder: find an image's second view among all others.

The loss is NT-Xent (Chen et al. 2020), a form of InfoNCE (van den Oord et al. 2018). The encoder has to find what the
two views share, and here this is known exactly: the second view keeps the latents that `views` names and redraws all
others. Such views need the latents, which no augmentation of real images has; `crop` is such an augmentation.

Encoder, first weights, optimiser, runs and their addresses are those of `pretrain`, so that a model differs
from a masked autoencoder only in its objective.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from mae_lib import randomness
from mae_lib.address import address, settings
from mae_lib.training import checkpoints
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import Schedule, train
from mae_lib.training.hardware import Hardware, rank_and_world
from mae_lib.training.mae import MAE
from mae_lib.training.run import Run, folder_of, trained_once
from mae_lib.worlds import World, rendered

CONTRASTIVE_VERSION = 1  # raised when the same config gives different numbers
CROP = "crop"
_SMALLEST = 0.2  # area of a crop as a share of the image's (He et al. 2020, MoCo)
_LONGEST = 4 / 3  # largest aspect ratio of a crop, either way
_JITTER = 0.4  # brightness, contrast and saturation are multiplied by 1 - 0.4 to 1 + 0.4


@dataclass(frozen=True)
class ContrastiveConfig:
    """A contrastive run with the world, encoder, optimiser and seed of `mae`; its masks and decoder are not used.

    `views`: latents that both views share, joined by "+" (`class`, `class+corners`), with all others redrawn; or
    `crop`: two crops of one image, each with its own colour jitter. Raises ValueError for views that the world cannot
    draw.
    """

    mae: PretrainConfig = field(default_factory=PretrainConfig)
    views: str = "class"
    images: int = 20_000  # views seen in total, two per pair
    pairs: int = 32  # in a batch, each contrasted with the others
    temperature: float = 0.2
    projection: int = 64  # width at which the loss is computed

    def __post_init__(self) -> None:
        wanted = {"pairs": 2, "projection": 1, "images": 2 * self.pairs}
        for name, least in wanted.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)!r}: it must be at least {least}")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature!r}: it must be above 0")
        if self.views != CROP:
            _checked_views(self.mae.make_world(), self.keep)

    @property
    def keep(self) -> tuple[str, ...]:
        """The latents that the two views share; empty for crops."""
        return () if self.views == CROP else tuple(self.views.split("+"))

    @property
    def steps(self) -> int:
        return self.images // (2 * self.pairs)

    def schedule(self) -> Schedule:
        mae = self.mae
        return Schedule(self.steps, self.pairs, mae.lr, mae.warmup, mae.weight_decay, clip=mae.clip)

    @property
    def key(self) -> str:
        """Ten hexadecimal digits of everything that determines the result, as `PretrainConfig.key`."""
        return address(settings(self, without="mae"), self.mae.key, CONTRASTIVE_VERSION)

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return f"{self.mae.world}-contrastive-{self.views}-s{self.mae.seed}-{self.key}"


def _checked_views(world: World, keep: tuple[str, ...]) -> None:
    """Raise ValueError unless the world can redraw an image with these latents kept."""
    if world.resample is None:
        raise ValueError(f"world {world.name!r} has no latents to keep: its views can only be {CROP!r}")
    try:
        world.resample(torch.arange(1), keep)
    except ValueError as error:
        raise ValueError(f"views are {'+'.join(keep)!r}: {error}") from None


class Contrastive(nn.Module):
    """The encoder of a masked autoencoder under a small head; its decoder is kept but not trained."""

    def __init__(self, mae: MAE, projection: int, temperature: float) -> None:
        super().__init__()
        self.mae, self.temperature = mae, temperature
        encoder = mae.encoder_state()
        for name, parameter in mae.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and name in encoder)
        width = mae.cls_token.shape[-1]
        # Untrained tokens of all images are nearly parallel; without the norm the loss stays at chance for long.
        hidden = nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        self.head = nn.Sequential(*hidden, nn.Linear(width, projection))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The loss of pairs of images, (B, 3, H, W) each in [0, 1]."""
        tokens = self.mae.encode(torch.cat([first, second]))
        seen = self.head(tokens[:, 1:].mean(1))  # the mean token, which the book's probes read
        return nt_xent(*seen.float().chunk(2), self.temperature)


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Chen et al. (2020), Equation 1: find a row's partner among all other rows of both views, (B, D) each, by angle.

    Scalar, the mean over the 2 B rows: log(2 B - 1) for a guess.
    """
    rows = F.normalize(torch.cat([first, second]), dim=1)
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    likeness = (rows @ rows.T / temperature).masked_fill(itself, -torch.inf)  # (2 B, 2 B)
    return F.cross_entropy(likeness, torch.arange(len(rows), device=rows.device).roll(len(first)))


def crop_and_jitter(images: Tensor, seed: int, visits: Tensor, stream: str) -> Tensor:
    """A random crop of each image, resized to its size, with jittered brightness, contrast and saturation.

    Images (B, 3, H, W) in [0, 1] to the same. The result of visit i is a function of (seed, i, stream).
    """
    u = randomness.uniform(seed, visits, stream, (7,)).to(images.device)
    return _jitter(_crop(images, u[:, :4]), 1 + _JITTER * (2 * u[:, 4:] - 1))


def _crop(images: Tensor, u: Tensor) -> Tensor:
    """A crop of 20 to 100% of the area and an aspect ratio of up to 4 : 3, placed by `u` (B, 4) in [0, 1)."""
    size = images.shape[-1]
    side = (_SMALLEST + (1 - _SMALLEST) * u[:, 0]).sqrt()
    stretch = (_LONGEST ** (2 * u[:, 1] - 1)).sqrt()
    extent = size * torch.stack([side * stretch, side / stretch], 1).clamp(max=1)  # (B, 2): width, height
    corner = u[:, 2:] * (size - extent)
    number = torch.arange(len(images), device=images.device, dtype=images.dtype)[:, None]
    boxes = torch.cat([number, corner, corner + extent], 1)
    return roi_align(images, boxes, images.shape[-2:], sampling_ratio=1, aligned=True)


def _jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Brightness, contrast and saturation times `factors` (B, 3), with torchvision's formulas, one factor per image."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    images = (images * brightness).clamp(0, 1)
    mean = _grey(images).mean((1, 2, 3), keepdim=True)
    images = (mean + contrast * (images - mean)).clamp(0, 1)
    grey = _grey(images)
    return (grey + saturation * (images - grey)).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    """Luminance (B, 1, H, W)."""
    weights = torch.tensor([0.2989, 0.587, 0.114], device=images.device)
    return (images * weights[:, None, None]).sum(1, keepdim=True)


def pair_batches(
    config: ContrastiveConfig, images: Tensor, device: torch.device
) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
    """A function from (step, rows) to two views of each pair, float (B, 3, H, W) in [0, 1] on `device`.

    The first view is one of `images`, uint8, or a crop of it; a pair is a function of (seed, step, row).
    """
    seed, world = config.mae.seed, config.mae.make_world()

    def batch_of(step: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        visits = step * config.pairs + rows
        chosen = randomness.integers(len(images), seed, visits, "anchor")
        first = images[chosen].to(device).float().div_(255)
        if config.views == CROP:
            return crop_and_jitter(first, seed, visits, "one"), crop_and_jitter(first, seed, visits, "other")
        # Draws are counted from 1 and differ from seed to seed.
        anew = world.resample(chosen.to(device), config.keep, "train", draw=1 + step + seed * config.steps)
        return first, anew.images

    return batch_of


@dataclass(frozen=True)
class ContrastiveRun(Run):
    """A finished contrastive run in its folder; its cost and log are as in `Run`."""

    @property
    def config(self) -> ContrastiveConfig:
        saved = checkpoints.read_json(self.directory / "config.json")
        return ContrastiveConfig(**saved | {"mae": PretrainConfig(**saved["mae"])})

    def load(self, device: str | torch.device = "cpu") -> MAE:
        """The trained encoder in eval mode, with an untrained decoder. Raises CheckpointError for a damaged file."""
        model = self.config.mae.model()
        model.load_encoder(checkpoints.load(self.directory / "model")[0])
        return model.to(device).eval()


def contrast(
    config: ContrastiveConfig,
    runs: str | Path | None = None,
    hardware: Hardware = Hardware(),
    images: Callable[[], Tensor] | None = None,
) -> ContrastiveRun:
    """The run of `config` in the folder `runs`, trained if need be, resumed if it was cut off.

    `images()` replaces the world's images, as in `pretrain`. Raises as `pretrain` does, and ValueError for
    micro-batches: each pair is contrasted with all others.
    """
    mae, run = config.mae, ContrastiveRun(folder_of(runs) / config.name)

    def learn() -> tuple[MAE, dict[str, Any]]:
        if (parts := rank_and_world()[1] * hardware.micro_batches) > 1:
            raise ValueError(f"a contrastive batch is one, for each pair is told from all others: not {parts} parts")
        draw = images or partial(rendered, mae.make_world(), "train", mae.unique_images, folder_of(runs) / "images")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mae.seed)
            model = Contrastive(mae.model(), config.projection, config.temperature)
        batches = pair_batches(config, draw(), hardware.torch_device)
        loss_of = lambda net, batch: net(*batch)  # noqa: E731
        return model.mae, train(model, batches, loss_of, config.schedule(), run.directory, hardware)

    trained_once(run.directory, config, learn, hardware)
    return run
