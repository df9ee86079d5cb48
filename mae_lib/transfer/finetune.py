"""End-to-end fine-tuning of a detector from an encoder: from a config to a finished run, trained at most once.

The loop, checkpoints and folders are those of pretraining. A run's address depends on its config, initial
weights, annotations and declared versions; a killed run resumes. What happens at a step is a function of (seed, step,
row): the order of images and jitter, and, given the split of a batch, which proposals are trained on. So an encoder
with fresh weights, the baseline "from scratch", sees the same images in the same order as a pretrained one.
"""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN

from mae_lib import randomness
from mae_lib.address import address
from mae_lib.data.files import Broken, readable
from mae_lib.training import MAE, Hardware, Run, checkpoints
from mae_lib.training.engine import TRAINER_VERSION, Schedule, adamw, train
from mae_lib.training.run import folder_of, trained_once
from mae_lib.transfer.coco import CocoSplit, pixels
from mae_lib.transfer.jitter import Target, jittered
from mae_lib.transfer.model import DetectorSizes, mask_rcnn, parameter_groups
from mae_lib.typed import typed_fields

DETECTOR_VERSION = 1  # raised when the same config gives different numbers
PREFIX = "detection_"  # of the preset entries that are fields of the config
Batch = tuple[int, list[Tensor], list[Target]]  # number of the first visit, images in [0, 1], targets


@dataclass(frozen=True)
class DetectionConfig:
    """What determines a fine-tuning run besides encoder and data. Raises ValueError for a value out of range."""

    size: int = 1024  # side of the canvas in pixels
    images: int = 1_600_000  # visited in total; an incomplete last batch is dropped
    batch: int = 64
    lr: float = 1e-4  # absolute, of the pyramid and the heads
    layer_decay: float = 0.7  # factor on the learning rate from one block to the one below
    warmup: float = 0.01  # fraction of the steps
    weight_decay: float = 0.1
    clip: float | None = None  # largest norm of the gradient
    jitter: tuple[float, float] | None = (0.1, 2.0)  # large-scale jitter; None for none
    flip: bool = True  # mirror half of the images visited
    max_broken: float = 0.001  # largest share of unreadable images that a run tolerates
    sizes: DetectorSizes = field(default_factory=DetectorSizes)
    seed: int = 0  # of pyramid, heads, order and jitter

    def __post_init__(self) -> None:
        typed_fields(self, PREFIX)
        for name in ("size", "images", "batch", "lr", "layer_decay"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{PREFIX}{name} is {getattr(self, name)!r}: it must be above 0")
        if self.images < self.batch:
            raise ValueError(f"{PREFIX}images is {self.images}: it must be at least one batch, {self.batch}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"{PREFIX}warmup is {self.warmup!r}: it must be a fraction of the steps, in [0, 1)")
        if self.jitter is not None and not (len(self.jitter) == 2 and 0 < self.jitter[0] <= self.jitter[1]):
            raise ValueError(f"{PREFIX}jitter is {self.jitter!r}: it must be two factors in order, such as [0.1, 2.0]")

    @classmethod
    def from_scale(cls, scale: Mapping[str, Any], **overrides: Any) -> "DetectionConfig":
        """From a preset's entries that begin with `detection_`; `detection_sizes` are `DetectorSizes`."""
        known = {entry.name for entry in fields(cls)}
        own = {name.removeprefix(PREFIX): value for name, value in scale.items() if name.startswith(PREFIX)}
        given = {name: value for name, value in own.items() if name in known} | overrides
        sizes = given.pop("sizes", {})
        if not isinstance(sizes, Mapping):
            raise ValueError(f"{PREFIX}sizes is {sizes!r}: it must be a mapping, such as {{channels: 256}}")
        architecture = {entry.name for entry in fields(DetectorSizes)}
        if strange := sorted(set(sizes) - architecture):
            raise ValueError(
                f"{PREFIX}sizes has no {', '.join(strange)}: choose among {', '.join(sorted(architecture))}"
            )
        return cls(**given, sizes=DetectorSizes(**sizes))

    def schedule(self) -> Schedule:
        """ViTDet's: AdamW with betas .9 and .999."""
        steps = self.images // self.batch
        decay, betas = self.weight_decay, (0.9, 0.999)
        return Schedule(steps, self.batch, self.lr, self.warmup, decay, betas, self.clip)


def fingerprint(mae: MAE) -> str:
    """Sixteen hexadecimal digits of a hash of an encoder's weights, on any device."""
    digest = hashlib.sha256()
    for name, value in sorted(mae.encoder_state().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def detection_run(config: DetectionConfig, mae: MAE, data: CocoSplit, name: str, runs: str | Path | None = None) -> Run:
    """The run, trained or not, of a detector that starts from `mae`; its folder's name contains `name`."""
    key = address(config, fingerprint(mae), data.key, TRAINER_VERSION, DETECTOR_VERSION)
    return Run(folder_of(runs) / f"detection-{name}-s{config.seed}-{key}")


def finetune(
    config: DetectionConfig,
    mae: MAE,
    data: CocoSplit,
    name: str,
    runs: str | Path | None = None,
    hardware: Hardware = Hardware(),
) -> MaskRCNN:
    """The detector of `config` that starts from the encoder of `mae`, in eval mode, trained if need be.

    Each micro-batch and each worker of torchrun samples its own proposals, so a different split of the batch is a
    different run of the same recipe. Raises DataError for broken data, and otherwise as `mae_lib.training.pretrain`.
    """
    run = detection_run(config, mae, data, name, runs)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = mask_rcnn(mae, config.size, len(data.categories), config.sizes)

        def optimiser_of(net: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
            return adamw(net, schedule, parameter_groups(net, config.weight_decay, config.layer_decay))

        def learn() -> tuple[MaskRCNN, dict[str, Any]]:
            broken = Broken(data, config.max_broken)
            seen = batches(config, data, broken, hardware.torch_device, hardware.workers or 0)
            loss = loss_of(config.seed)
            result = train(model, seen, loss, config.schedule(), run.directory, hardware, optimiser_of)
            return model, result | {"skipped_images": len(broken)}

        trained_once(run.directory, config, learn, hardware)
    model.load_state_dict(checkpoints.load(run.directory / "model")[0])
    return model.to(hardware.torch_device).eval()


def loss_of(seed: int) -> Callable[[nn.Module, Batch], Tensor]:
    """The sum of Mask R-CNN's five losses. torchvision samples proposals with torch's generator, seeded first."""

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        visit, images, targets = batch
        torch.manual_seed(int(randomness.bits(seed, torch.tensor([visit]), "proposals")[0]))
        return sum(net(images, targets).values())

    return loss


def batches(
    config: DetectionConfig, data: CocoSplit, broken: Broken, device: torch.device, readers: int = 0
) -> Callable[[int, Tensor], Batch]:
    """A function from (step, rows) to a batch on `device`. Every pass over the images is a new permutation.

    An unreadable image is replaced by the next readable one, and counted in `broken`.
    """

    def seen_at(visit: int) -> tuple[Tensor, Target]:
        index = int(randomness.shuffled(config.seed, torch.tensor([visit]), len(data)))
        image, index, passed = readable(data, index)
        broken.add(passed)
        return jittered(pixels(image), data.target(index), config.size, config.seed, visit, config.jitter, config.flip)

    pool = ThreadPoolExecutor(readers) if readers else None
    ahead: dict[int, Future] = {}

    def fetched(visit: int) -> tuple[Tensor, Target]:
        return ahead.pop(visit).result() if visit in ahead else seen_at(visit)

    def batch_of(step: int, rows: Tensor) -> Batch:
        visits = (step * config.batch + rows).tolist()
        pairs = [fetched(visit) for visit in visits]
        if pool:
            ahead.update({visit + config.batch: pool.submit(seen_at, visit + config.batch) for visit in visits})
        images = [image.to(device).float().div_(255) for image, _ in pairs]
        return visits[0], images, [{name: v.to(device) for name, v in target.items()} for _, target in pairs]

    return batch_of
