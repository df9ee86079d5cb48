r"""One flat training loop: CPU, CUDA or MPS, one process or torchrun, resumed bit for bit after a kill.

    python -m mae_lib pretrain ...                       # one process
    torchrun --nproc-per-node 4 -m mae_lib pretrain ...  # four GPUs, or cores
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d \
        --rdzv-endpoint HOST:29500 -m mae_lib pretrain ...

The loop holds no state of its own. What happens at a step is a function of (step, rows), so splitting the
batch over workers and micro-batches changes only the last bits, and a resumed run is bit-identical (on a CPU; some GPU
kernels add in varying order).
The loop is independent of images: it takes a function from (step, rows) to a batch, and one from a batch to a loss.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from tqdm import tqdm

from mae_lib.training import checkpoints
from mae_lib.training.hardware import Hardware, apply_memory_options, rank_and_world
from mae_lib.training.tensorboard import curves

TRAINER_VERSION = 1  # part of every run's address: raise it when the same config gives different numbers

BatchOf = Callable[[int, Tensor], Any]  # (step, rows (b,) int64 on the CPU) -> batch on the device
LossOf = Callable[[nn.Module, Any], Tensor]  # (model, batch) -> scalar, the mean over the batch's rows


class DivergedError(ArithmeticError):
    """The loss is no longer a finite number; the message names the step and the last good checkpoint."""


@dataclass(frozen=True)
class Schedule:
    """AdamW with linear warm-up and a cosine to zero. `lr` is absolute: 1.5e-4 x batch / 256 in the MAE paper."""

    steps: int
    batch: int
    lr: float
    warmup: float = 0.05  # fraction of the steps
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = None  # largest norm of the gradient

    def __post_init__(self) -> None:
        if not 0 < self.lr <= 1e6:  # beyond float32's range the optimiser raises its own message
            raise ValueError(f"the learning rate is {self.lr!r}: it must be above 0, and at most 1e6")

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0: positive at step 0 of a warm-up, almost zero at the last step."""
        warmup = round(self.warmup * self.steps)
        if step < warmup:
            return self.lr * (step + 1) / warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (self.steps - warmup)))

    @property
    def log_every(self) -> int:
        """Steps between two lines of the log: at most 50, and few enough for 100 lines where the run is long enough."""
        return max(1, min(50, self.steps // 100))


def adamw(model: nn.Module, schedule: Schedule, groups: list[dict[str, Any]] | None = None) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, in `groups`; by default biases, norms and tokens do not decay.

    A group's `lr_scale` multiplies the schedule's learning rate.
    """
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    plain = {name for name, p in learned.items() if p.ndim < 2 or name.endswith("_token")}
    groups = groups or [
        {"params": [p for name, p in learned.items() if name not in plain], "weight_decay": schedule.weight_decay},
        {"params": [p for name, p in learned.items() if name in plain], "weight_decay": 0.0},
    ]
    device = next(model.parameters()).device
    fused = device.type in {"cpu", "cuda"}  # one kernel for all parameters instead of a dozen for each
    return torch.optim.AdamW(groups, lr=schedule.lr, betas=schedule.betas, fused=fused)


def train(
    model: nn.Module,
    batch_of: BatchOf,
    loss_of: LossOf,
    schedule: Schedule,
    folder: Path,
    hardware: Hardware,
    optimiser_of: Callable[[nn.Module, Schedule], Optimizer] = adamw,
    snapshots: int = 0,
) -> dict[str, Any]:
    """Train `model` in place to the end of `schedule`, from the last checkpoint in `folder` if there is one.

    Writes `folder/log.jsonl` (step, loss, lr, `images_per_second`, seconds) and, at least `hardware.save_seconds`
    apart, `folder/checkpoint-*`. Returns its cost: steps, seconds, `images_per_second`, loss (of the last line).
    `snapshots`: how many models, evenly spaced up to the end, are kept in `folder/snapshots` for a curve over time.
    Raises DivergedError at a loss that is not finite, CheckpointError for a checkpoint that cannot be trusted,
    ValueError if the batch does not split evenly.
    """
    first_worker = rank_and_world()[0] == 0
    apply_memory_options(model.to(hardware.torch_device).train(), hardware)
    optimiser = optimiser_of(model, schedule)
    first, earlier = checkpoints.resume(folder, model, optimiser)
    learn = stepper(model, optimiser, batch_of, loss_of, schedule, hardware)
    if first_worker:
        checkpoints.cut_log(folder / "log.jsonl", first)
    kept = {round(schedule.steps * (k + 1) / snapshots) for k in range(snapshots)}

    losses: list[Tensor] = []
    begun = logged = saved = time.perf_counter()
    zero = begun - earlier  # as if it had never been interrupted
    shown = {"total": schedule.steps, "initial": first, "unit": "step"}
    with (
        tqdm(desc=folder.name, **shown, disable=not (hardware.progress and first_worker)) as bar,
        curves(folder, hardware.tensorboard and first_worker) as draw,
    ):
        for step in range(first + 1, schedule.steps + 1):  # steps taken after this one
            losses.append(learn(step - 1))
            bar.update()
            if first_worker and step in kept:
                checkpoints.save_snapshot(folder, step, model)
            if step % schedule.log_every and step < schedule.steps:
                continue

            line = _line(folder, schedule, step, losses, logged, zero)
            losses, logged = [], time.perf_counter()
            bar.set_postfix_str("loss {loss:.4f}, {images_per_second:.0f} images/s".format(**line), refresh=False)
            if first_worker:
                checkpoints.append_line(folder / "log.jsonl", json.dumps(line))
                draw(line)
            if first_worker and logged - saved >= hardware.save_seconds and step < schedule.steps:
                _require_finite_weights(model, folder, step)
                checkpoints.save_state(folder, step, model, optimiser, line["seconds"])
                saved = time.perf_counter()
    _require_finite_weights(model, folder, schedule.steps)
    now = time.perf_counter()
    speed = schedule.batch * (schedule.steps - first) / (now - begun)
    return {"steps": schedule.steps, "seconds": now - zero, "images_per_second": speed, "loss": line["loss"]}


def stepper(
    model: nn.Module,
    optimiser: Optimizer,
    batch_of: BatchOf,
    loss_of: LossOf,
    schedule: Schedule,
    hardware: Hardware,
) -> Callable[[int], Tensor]:
    """A function that trains on the batch of a step, counted from 0, and returns its loss on this worker's rows."""
    device, rows = hardware.torch_device, hardware.rows(schedule.batch)
    several = rank_and_world()[1] > 1
    ids = [device] if device.type == "cuda" else None
    net = DistributedDataParallel(model, device_ids=ids) if several else model
    autocast = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()

    def learn(step: int) -> Tensor:
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr_at(step) * group.get("lr_scale", 1.0)
        total = 0.0
        for number, piece in enumerate(rows):
            held = several and number < len(rows) - 1  # gradients are synchronised once, with the last micro-batch
            with net.no_sync() if held else nullcontext():
                with autocast:
                    loss = loss_of(net, batch_of(step, piece)) / len(rows)
                loss.backward()
            total = total + loss.detach()
        if schedule.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return total

    return learn


def _line(
    folder: Path, schedule: Schedule, step: int, losses: list[Tensor], logged: float, zero: float
) -> dict[str, float]:
    """The log line for the last steps, whose `losses` are finite; `logged` and `zero` are clock times."""
    sums = torch.stack(losses)
    if dist.is_initialized():
        dist.all_reduce(sums)
        sums = sums / dist.get_world_size()
    means = sums.tolist()  # the only synchronisation with a GPU
    for number, value in enumerate(means):
        if not math.isfinite(value):
            raise _diverged(folder, step - len(means) + number, value)
    now = time.perf_counter()
    return {
        "step": step,
        "loss": sum(means) / len(means),
        "lr": schedule.lr_at(step - 1),
        "images_per_second": round(schedule.batch * len(means) / (now - logged), 1),
        "seconds": round(now - zero, 3),
    }


def _require_finite_weights(model: nn.Module, folder: Path, step: int) -> None:
    """Raise for weights that are not finite after a finite loss: they must not become the last good checkpoint."""
    for name, value in model.named_parameters():
        if not value.isfinite().all():
            raise _diverged(folder, step - 1, f"finite but leads to a {name} that is not finite")


def _diverged(folder: Path, step: int, value: float | str) -> DivergedError:
    good = checkpoints.latest(folder)
    kept = f"the last good checkpoint is {good}" if good else "no checkpoint had been written yet"
    return DivergedError(
        f"the loss is {value} at step {step}; {kept}. A lower learning rate or gradient clipping may help"
    )
