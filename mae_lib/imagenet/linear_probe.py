"""The linear probe of the MAE paper (He et al. 2022, Table 9; facebookresearch/mae): the probe behind Tables 1 and 2.

A frozen representation, BatchNorm without scale and shift, one linear layer, trained by LARS on random crops of all
training images. The encoder processes every crop afresh, so this needs GPUs; for worlds with thousands of images the
logistic probe of `separability.py` gives the same answer faster.

Loop, checkpoints and folders are those of pretraining. Workers of torchrun share the encoder's work; each then
has the whole batch's features and trains the same head, so the result does not depend on their number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from timm.optim import Lars
from torch import Tensor, nn
from torch.nn import functional as F

from mae_lib.data.files import Broken
from mae_lib.data.loading import Ahead, Visits
from mae_lib.training import Hardware, checkpoints
from mae_lib.training.engine import BatchOf, Schedule, train
from mae_lib.training.run import trained_once
from mae_lib.typed import typed_fields

Read = Callable[[Tensor], Tensor]  # float images (b, 3, H, W) in [0, 1] -> features (b, width)
PROBE_VERSION = 1  # raised when the same recipe gives different numbers
CHUNK = 256  # images that an encoder processes together


@dataclass(frozen=True)
class ProbeRecipe:
    """The published recipe. A set smaller than `batch` forms one batch. Raises ValueError for a value out of range."""

    batch: int = 16384
    epochs: int = 90
    warmup_epochs: int = 10
    base_lr: float = 0.1  # the learning rate is base_lr x batch / 256
    momentum: float = 0.9
    trust: float = 0.001  # LARS's coefficient
    crop: tuple[float, float] = (0.08, 1.0)  # share of an image's area
    seed: int = 0

    def __post_init__(self) -> None:
        typed_fields(self, "the probe's ")
        for name, least in (("batch", 2), ("epochs", 1), ("warmup_epochs", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"the probe's {name} is {getattr(self, name)}: it must be at least {least}")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"the probe warms up for {self.warmup_epochs} of {self.epochs} epochs: it must be fewer")
        if not (self.base_lr > 0 and self.trust > 0 and 0 <= self.momentum < 1):
            found = f"{self.base_lr}, {self.trust} and {self.momentum}"
            raise ValueError(f"base_lr, trust and momentum are {found}: they must be above 0, and momentum below 1")
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"the probe's crop is {self.crop}: it must be two shares of the area in order, in (0, 1]")

    def schedule(self, images: int) -> Schedule:
        batch = min(self.batch, images)
        steps = max(1, self.epochs * images // batch)
        return Schedule(steps, batch, self.base_lr * batch / 256, self.warmup_epochs / self.epochs)


class Head(nn.Module):
    """Features (b, width) to logits (b, classes); each is normalised, over the batch or with training's statistics."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False, eps=1e-6)
        self.linear = nn.Linear(width, classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(self.norm(features))


def lars(head: Head, recipe: ProbeRecipe) -> Lars:
    """LARS as published: a matrix's step is proportional to its norm, the bias uses plain momentum, neither decays."""
    groups = [
        {"params": [head.linear.weight], "always_adapt": True},
        {"params": [head.linear.bias], "always_adapt": False},
    ]
    return Lars(groups, lr=1.0, momentum=recipe.momentum, trust_coeff=recipe.trust, weight_decay=0.0)


def train_head(
    read: Read,
    visits: Visits,
    classes: int,
    recipe: ProbeRecipe,
    folder: Path,
    max_broken: float,
    hardware: Hardware,
) -> Head:
    """The head that `recipe` trains on the output of `read` for these visits, loaded from `folder` or trained there.

    It normalises over its batch, which is never split into micro-batches, and on a CPU the encoder uses all threads.
    Raises DivergedError for a loss that is not finite, DataError for too many broken images, CheckpointError for a file
    that cannot be trusted, ValueError if the batch does not split over the workers.
    """
    if visits.count < 2:
        raise ValueError(
            f"the probe learns from {visits.count} images: it needs 2 or more, for it normalises over them"
        )
    hardware, device = replace(hardware, micro_batches=1, threads=torch.get_num_threads()), hardware.torch_device

    def learn() -> tuple[Head, dict[str, Any]]:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            width = read(torch.zeros(1, 3, visits.size, visits.size, device=device)).shape[1]
            torch.manual_seed(recipe.seed)
            head = Head(width, classes)
        broken, schedule = Broken(visits.images, max_broken), recipe.schedule(visits.count)
        batches = _batches(read, visits, schedule, broken, hardware)
        result = train(head, batches, _loss, schedule, folder, hardware, lambda head, _: lars(head, recipe))
        return head, result | {"skipped_images": len(broken)}

    trained_once(folder, recipe, learn, hardware)
    tensors, _ = checkpoints.load(folder / "model")
    try:
        head = Head(tensors["linear.weight"].shape[1], classes)
        head.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        raise checkpoints.CheckpointError(f"{folder}: does not hold a probe of {classes} classes ({error})") from None
    return head.to(device).eval()


def _loss(head: Head, batch: tuple[Tensor, Tensor]) -> Tensor:
    with torch.autocast("cuda", enabled=False):  # the encoder may run in half precision, the head trains in full
        return F.cross_entropy(head(batch[0]), batch[1])


def _batches(read: Read, visits: Visits, schedule: Schedule, broken: Broken, hardware: Hardware) -> BatchOf:
    """A function from (step, rows) to features and labels of the whole batch, the same on every worker."""
    device = hardware.torch_device
    pieces = hardware.rows(schedule.batch)[0].split(CHUNK)
    pin = device.type == "cuda"
    images_of = Ahead(visits, schedule.batch, schedule.steps, pieces, broken, hardware.workers, pin)

    @torch.no_grad()
    def batch_of(step: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        parts = []
        for piece in pieces:
            images, labels = images_of(step, piece)
            parts.append((read(images.to(device, non_blocking=True).float().div_(255)).float(), labels.to(device)))
        return tuple(_gathered(torch.cat(part)) for part in zip(*parts))

    return batch_of


def _gathered(rows: Tensor) -> Tensor:
    """The rows of all workers, in the order of the batch."""
    if not dist.is_initialized():
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def recipe_of(options: Mapping[str, Any]) -> ProbeRecipe:
    """The published recipe with these settings. Raises ValueError for an unknown setting."""
    known = ProbeRecipe.__dataclass_fields__
    if not isinstance(options, Mapping):
        raise ValueError(f"probe is {options!r}: it must be a mapping of settings, such as {{epochs: 90}}")
    if unknown := [name for name in options if name not in known]:
        raise ValueError(f"the probe has no setting {unknown[0]!r}: choose among {', '.join(known)}")
    return ProbeRecipe(**options)
