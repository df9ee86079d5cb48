"""The same encoder trained on labels: what supervision at this size reaches on these images, a ceiling for probes."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mae_lib import randomness
from mae_lib.address import address
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import Schedule, train
from mae_lib.training.hardware import Hardware
from mae_lib.training.mae import MAE
from mae_lib.training.run import folder_of, load_model, trained_once
from mae_lib.worlds import World, rendered

SUPERVISED_VERSION = 1  # raised when the same settings give a different encoder
_SIZES = ("image_size", "patch", "width", "depth", "heads", "pixel_mean", "pixel_std", "seed")
_LR, _BATCH = 1e-3, 64
_LABELLED = 256  # images whose labels are computed at once


class Classifier(nn.Module):
    """The encoder of a masked autoencoder, the mean of its patch tokens, and a linear layer on top."""

    def __init__(self, mae: MAE, classes: int) -> None:
        super().__init__()
        self.mae, self.head = mae, nn.Linear(mae.norm.normalized_shape[0], classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.mae.encode(images)[:, 1:].mean(1))


def train_classifier(
    config: PretrainConfig,
    images: Tensor,
    labels: Tensor,
    classes: int,
    schedule: Schedule,
    folder: Path,
    hardware: Hardware,
) -> tuple[Classifier, dict[str, Any]]:
    """An encoder of `config`'s sizes and seed with a linear head, trained by AdamW, and what `train` returns.

    `images` are uint8 (n, 3, H, W), `labels` (n,) in [0, classes). Training resumes from a checkpoint in `folder`.
    """
    where = hardware.torch_device

    def batch_of(step: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        chosen = randomness.shuffled(config.seed, step * schedule.batch + rows, len(images))
        return images[chosen].to(where).float() / 255, labels[chosen].to(where)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        mae = config.model()
        torch.manual_seed(config.seed)
        model = Classifier(mae, classes)
    for name, parameter in mae.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and not name.startswith(("decoder_", "mask_token")))
    mae.has_decoder = False
    loss_of = lambda net, pair: F.cross_entropy(net(pair[0]), pair[1])  # noqa: E731
    return model, train(model, batch_of, loss_of, schedule, folder, hardware)


def supervised(
    config: PretrainConfig,
    world: World,
    visits: int,
    unique_images: int,
    cache: Path,
    runs: str | Path | None = None,
    hardware: Hardware = Hardware(),
) -> MAE:
    """The encoder of `config`'s sizes and seed, trained on the class of a world's first training images, at most once.

    It sees `visits` images in total, drawn from `unique_images` rendered into `cache`. The model has no decoder.
    Raises ValueError for fewer visits than 1, CheckpointError for a damaged file.
    """
    if visits < 1 or unique_images < 1:
        raise ValueError(f"visits is {visits} and unique_images {unique_images}: both must be at least 1")
    batch = min(_BATCH, visits)
    sizes = {name: getattr(config, name) for name in _SIZES}
    key = address("supervised", SUPERVISED_VERSION, sizes, world.address(), visits, unique_images, _LR, batch)
    directory = folder_of(runs) / f"supervised-s{config.seed}-{key}"

    def learn() -> tuple[MAE, dict[str, Any]]:
        images = rendered(world, "train", unique_images, cache)
        labels = torch.cat([world.latents(part)["class"] for part in torch.arange(unique_images).split(_LABELLED)])
        schedule = Schedule(visits // batch, batch, _LR, warmup=0.1, clip=1.0)
        model, result = train_classifier(config, images, labels, world.classes, schedule, directory, hardware)
        return model.mae, result

    trained_once(directory, config, learn, hardware)
    return load_model(directory / "model", hardware.torch_device)
