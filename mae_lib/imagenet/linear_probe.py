"""The linear probe of the MAE paper (He et al. 2022, Table 9; facebookresearch/mae): what Tables 1 and 2 are read by.

A frozen representation, BatchNorm without scale and shift, one linear layer, trained by LARS on random crops of all
training images. The encoder looks at every crop anew, so this is work for GPUs; for worlds of thousands of images the
logistic probe of `separability.py` says the same sooner.

Notable: workers of torchrun share the encoder's work. Each then holds the whole batch's features and trains the same
head, so the result does not depend on their number; and what a step sees is a function of the step, so a probe that was
cut off goes on where it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.distributed as dist
from timm.optim import Lars
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from mae_lib.data.files import Broken
from mae_lib.data.loading import Ahead, Visits, default_workers
from mae_lib.training import checkpoints
from mae_lib.training.engine import DivergedError, Schedule, rank_and_world
from mae_lib.training.run import alone
from mae_lib.typed import typed_fields

Read = Callable[[Tensor], Tensor]  # float images (b, 3, H, W) in [0, 1] -> features (b, width)
PROBE_VERSION = 1  # raised when the same recipe gives other numbers than before
CHUNK = 256  # images that an encoder looks at together
_SAVE_SECONDS = 60


@dataclass(frozen=True)
class ProbeRecipe:
    """The published recipe. A set smaller than `batch` is one batch. Raises ValueError for a value out of range."""

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
    """Features (b, width), normalised each over the batch, in evaluation over training, to logits (b, classes)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False, eps=1e-6)
        self.linear = nn.Linear(width, classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(self.norm(features))


def lars(head: Head, recipe: ProbeRecipe) -> Lars:
    """LARS as published: the matrix moves in proportion to its norm, the bias by plain momentum, neither decays."""
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
    device: torch.device,
    max_broken: float,
    progress: bool = True,
) -> Head:
    """The head that `recipe` trains on what `read` makes of these visits, found in `folder` or trained there.

    Raises DivergedError for a loss that is not finite, DataError for too many broken images, CheckpointError for a
    file that cannot be trusted, ValueError if the batch does not split over the workers.
    """
    with alone(folder):
        if (folder / "head.json").is_file():
            return _load(folder / "head", classes).to(device).eval()
        head = _train(read, visits, classes, recipe, folder, device, max_broken, progress)
        if rank_and_world()[0] == 0:
            about = {"recipe": asdict(recipe), "width": head.linear.in_features}
            checkpoints.save(folder / "head", head.state_dict(), about)
            for file in folder.glob("state.*"):
                file.unlink()
        if dist.is_initialized():
            dist.barrier()
    return head.eval()


def _train(
    read: Read,
    visits: Visits,
    classes: int,
    recipe: ProbeRecipe,
    folder: Path,
    device: torch.device,
    max_broken: float,
    progress: bool,
) -> Head:
    if visits.count < 2:
        raise ValueError(
            f"the probe learns from {visits.count} images: it needs 2 or more, for it normalises over them"
        )
    schedule, (rank, world) = recipe.schedule(visits.count), rank_and_world()
    if schedule.batch % world:
        raise ValueError(f"the probe's batch of {schedule.batch} images does not split into {world} workers")
    pieces = torch.arange(schedule.batch).chunk(world)[rank].split(CHUNK)
    broken = Broken(visits.images, max_broken)
    pin = device.type == "cuda"
    batch_of = Ahead(visits, schedule.batch, schedule.steps, pieces, broken, default_workers(), pin)
    autocast = torch.autocast("cuda", torch.bfloat16, enabled=pin)

    def seen(step: int) -> tuple[Tensor, Tensor]:
        """Features and labels of the whole batch, the same on every worker."""
        parts = []
        with torch.no_grad(), autocast:
            for rows in pieces:
                images, labels = batch_of(step, rows)
                parts.append((read(images.to(device, non_blocking=True).float().div_(255)).float(), labels.to(device)))
        return tuple(_gathered(torch.cat(part)) for part in zip(*parts))

    head, optimiser, first = _begun(read, visits, classes, recipe, folder, device)
    saved, quiet = perf_counter(), not progress or rank > 0
    bar = tqdm(desc=f"probe {folder.parent.name}", total=schedule.steps, initial=first, unit="step", disable=quiet)
    for step in range(first, schedule.steps):
        features, labels = seen(step)
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr_at(step)
        loss = F.cross_entropy(head(features), labels)
        if not loss.isfinite():
            raise DivergedError(f"the probe's loss is {loss.item()} at step {step}: lower base_lr")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        bar.update()
        bar.set_postfix_str(f"loss {loss.item():.4f}", refresh=False)
        if rank == 0 and perf_counter() - saved >= _SAVE_SECONDS and step + 1 < schedule.steps:
            _save(folder / "state", head, optimiser, step + 1)
            saved = perf_counter()
    bar.close()
    return head


def _begun(
    read: Read, visits: Visits, classes: int, recipe: ProbeRecipe, folder: Path, device: torch.device
) -> tuple[Head, Lars, int]:
    """The head and its optimiser where they were left, or fresh ones, and the steps that they have taken."""
    blank = torch.zeros(1, 3, visits.size, visits.size, device=device)
    with torch.no_grad():
        width = read(blank).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        head = Head(width, classes).to(device).train()
    optimiser = lars(head, recipe)
    if not (folder / "state.json").is_file():
        return head, optimiser, 0
    tensors, about = checkpoints.load(folder / "state")
    for name, parameter in head.named_parameters():
        optimiser.state[parameter]["momentum_buffer"] = tensors.pop(f"momentum.{name}").to(device)
    head.load_state_dict(tensors)
    return head, optimiser, about["step"]


def _save(path: Path, head: Head, optimiser: Lars, step: int) -> None:
    momentum = {f"momentum.{name}": optimiser.state[p]["momentum_buffer"] for name, p in head.named_parameters()}
    checkpoints.save(path, head.state_dict() | momentum, {"step": step})


def _gathered(rows: Tensor) -> Tensor:
    """The rows of all workers, in the order of the batch."""
    if not dist.is_initialized():
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def _load(path: Path, classes: int) -> Head:
    tensors, about = checkpoints.load(path)
    head = Head(int(about["width"]), classes)
    try:
        head.load_state_dict(tensors)
    except RuntimeError as error:
        raise checkpoints.CheckpointError(f"{path}: does not hold a probe of {classes} classes ({error})") from None
    return head


def recipe_of(options: Mapping[str, Any]) -> ProbeRecipe:
    """The published recipe with these settings. Raises ValueError for one that there is not."""
    known = ProbeRecipe.__dataclass_fields__
    if not isinstance(options, Mapping):
        raise ValueError(f"probe is {options!r}: it must be a mapping of settings, such as {{epochs: 90}}")
    if unknown := [name for name in options if name not in known]:
        raise ValueError(f"the probe has no setting {unknown[0]!r}: choose among {', '.join(known)}")
    return ProbeRecipe(**options)
