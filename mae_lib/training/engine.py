"""One flat training loop: CPU, CUDA or MPS, one process or torchrun, resumed to the bit after a kill.

    python -m mae_lib pretrain ...                                      # one process
    torchrun --nproc-per-node 4 -m mae_lib pretrain ...                 # four GPUs, or four gloo workers
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m mae_lib pretrain ...

Notable: the loop holds no state of its own. What happens at a step is a function of (step, rows), so the batch may be
split over workers and micro-batches without changing more than the last bits, and a resumed run repeats the bits (on a
CPU; some kernels of a GPU add in an order that varies).
The loop knows nothing of images: it is given a function from (step, rows) to a batch, and one from a batch to a loss.
"""

import atexit
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from tqdm import tqdm

from mae_lib.devices import best_device as best_device
from mae_lib.training import checkpoints

TRAINER_VERSION = 1  # part of every run's address: raise it when the same config gives other numbers than before

BatchOf = Callable[[int, Tensor], Any]  # (step, rows (b,) int64 on the CPU) -> batch on the device
LossOf = Callable[[nn.Module, Any], Tensor]  # (model, batch) -> scalar, the mean over the batch's rows


class DivergedError(ArithmeticError):
    """The loss is no longer a finite number; the message names the step and the last good checkpoint."""


class WorkerLostError(ConnectionError):
    """Another worker of torchrun went away; all that was saved is still there."""


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

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0: step 0 of a warm-up moves already, the last step almost not."""
        warmup = round(self.warmup * self.steps)
        if step < warmup:
            return self.lr * (step + 1) / warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (self.steps - warmup)))

    @property
    def log_every(self) -> int:
        """Steps between two lines of the log: at least 100 lines where there are steps enough, at most 50 steps."""
        return max(1, min(50, self.steps // 100))


def train(
    model: nn.Module,
    batch_of: BatchOf,
    loss_of: LossOf,
    schedule: Schedule,
    folder: Path,
    device: torch.device,
    *,
    micro_batches: int = 1,
    progress: bool = True,
    save_seconds: float = 60,
    compiled: bool = False,
    checkpoint_blocks: bool = False,
    groups: list[dict[str, Any]] | None = None,
    snapshots: int = 0,
) -> dict[str, Any]:
    """Train `model` in place to the end of `schedule`, from the last checkpoint in `folder` if there is one.

    Writes `folder/log.jsonl` (step, loss, lr, images_per_second, seconds) and, at least `save_seconds` apart,
    `folder/checkpoint-*`. Returns what it took: steps, seconds, images_per_second, loss (of the last log line).
    `compiled` and `checkpoint_blocks`: see `ease`.
    `snapshots`: how many models, at equal distances to the end, are kept in `folder/snapshots` for a curve over time.
    `groups` of parameters stand in for those of `adamw`; a group's `lr_scale` multiplies the schedule's learning rate.
    Raises DivergedError at a loss that is not finite, CheckpointError for a checkpoint that cannot be trusted,
    ValueError if the batch does not split evenly.
    """
    rank, world = rank_and_world()
    if schedule.batch % (world * micro_batches):
        raise ValueError(f"batch {schedule.batch} does not split into {world} workers x {micro_batches} micro-batches")
    ease(model.to(device).train(), compiled, checkpoint_blocks)
    optimiser = adamw(model, schedule, device, groups)
    step, seconds = checkpoints.resume(folder, model, optimiser)
    log = folder / "log.jsonl"
    if rank == 0:
        checkpoints.cut_log(log, step)
    net = DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None) if world > 1 else model
    autocast = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
    pieces = torch.arange(schedule.batch).view(world, micro_batches, -1)[rank]

    kept = {round(schedule.steps * (k + 1) / snapshots) for k in range(snapshots)}
    losses: list[Tensor] = []
    last = {"loss": math.nan, "images_per_second": math.nan}
    first, begun = step, time.perf_counter()
    tick, saved = begun, begun
    quiet = not progress or rank > 0
    bar = tqdm(desc=folder.name, total=schedule.steps, initial=step, unit="step", disable=quiet)
    while step < schedule.steps:
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr_at(step) * group.get("lr_scale", 1.0)
        for number, rows in enumerate(pieces):
            held = world > 1 and number < micro_batches - 1  # gradients travel once, with the last micro-batch
            with net.no_sync() if held else nullcontext():
                with autocast:
                    loss = loss_of(net, batch_of(step, rows)) / micro_batches
                loss.backward()
            losses.append(loss.detach())
        if schedule.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        bar.update()
        if step in kept and rank == 0:
            checkpoints.save_snapshot(folder, step, model)
        if step % schedule.log_every and step < schedule.steps:
            continue

        means = _step_losses(losses, micro_batches)  # the only place where a GPU is waited for
        losses.clear()
        if not all(map(math.isfinite, means)):
            bad = next(i for i, value in enumerate(means) if not math.isfinite(value))
            bar.close()
            raise DivergedError(divergence(folder, step - len(means) + bad, means[bad]))
        now = time.perf_counter()
        last = {"loss": sum(means) / len(means), "images_per_second": schedule.batch * len(means) / (now - tick)}
        tick = now
        line = {"step": step, "loss": last["loss"], "lr": schedule.lr_at(step - 1)}
        line |= {"images_per_second": round(last["images_per_second"], 1), "seconds": round(seconds + now - begun, 3)}
        bar.set_postfix_str(f"loss {last['loss']:.4f}, {last['images_per_second']:.0f} images/s", refresh=False)
        if rank == 0:
            checkpoints.append_line(log, json.dumps(line))
            if now - saved >= save_seconds and step < schedule.steps:
                _require_finite_weights(model, folder, step)
                checkpoints.save_state(folder, step, checkpoints.state_of(model, optimiser), seconds + now - begun)
                checkpoints.prune(folder, step)
                saved = time.perf_counter()
    bar.close()
    _require_finite_weights(model, folder, step)
    spent = time.perf_counter() - begun
    speed = schedule.batch * (step - first) / spent if step > first else last["images_per_second"]
    return {"steps": step, "seconds": seconds + spent, "images_per_second": speed, "loss": last["loss"]}


def adamw(
    model: nn.Module, schedule: Schedule, device: torch.device, groups: list[dict[str, Any]] | None = None
) -> torch.optim.AdamW:
    """AdamW over what is learned, in `groups` or, without, decaying matrices but no biases, norms and tokens."""
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    plain = {name for name, p in learned.items() if p.ndim < 2 or name.endswith("_token")}
    groups = groups or [
        {"params": [p for name, p in learned.items() if name not in plain], "weight_decay": schedule.weight_decay},
        {"params": [p for name, p in learned.items() if name in plain], "weight_decay": 0.0},
    ]
    fused = device.type in {"cpu", "cuda"}  # one kernel for all parameters instead of a dozen for each
    return torch.optim.AdamW(groups, lr=schedule.lr, betas=schedule.betas, fused=fused)


def ease(model: nn.Module, compiled: bool, checkpoint_blocks: bool) -> None:
    """Make the transformer blocks of a model cheaper to run, in place; names and results stay, but for last bits.

    compiled: by torch.compile, block by block, so that equal blocks are compiled once and masks stay outside; a minute
    at the start, and a compiler is needed. checkpoint_blocks: only what enters a block is kept for the backward pass,
    which computes the rest again: a third more work, and memory for one block instead of all.
    """
    for block in (module for module in model.modules() if isinstance(module, Block)):
        if checkpoint_blocks:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if compiled:
            block.compile()


def _step_losses(losses: list[Tensor], micro_batches: int) -> list[float]:
    """The loss of each step since the last log line, averaged over workers: one transfer for all."""
    sums = torch.stack(losses).view(-1, micro_batches).sum(dim=1)
    if dist.is_initialized():
        dist.all_reduce(sums)
        sums = sums / dist.get_world_size()
    return sums.tolist()


def _require_finite_weights(model: nn.Module, folder: Path, step: int) -> None:
    """A finite loss can still have led to weights that are not: they must not become the last good checkpoint."""
    for name, value in model.named_parameters():
        if not value.isfinite().all():
            raise DivergedError(divergence(folder, step - 1, f"finite but leads to a {name} that is not finite"))


def divergence(folder: Path, step: int, value: float | str) -> str:
    """What a DivergedError says."""
    good = checkpoints.latest(folder)
    kept = f"the last good checkpoint is {good}" if good else "no checkpoint had been written yet"
    return f"the loss is {value} at step {step}; {kept}. A lower learning rate or gradient clipping may help"


# Where a run runs


def rank_and_world() -> tuple[int, int]:
    """This worker's number and how many there are; (0, 1) without torchrun."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


@contextmanager
def workers(device: torch.device) -> Iterator[tuple[int, int]]:
    """Join the other workers of torchrun, if any, until the process ends; gives `rank_and_world()`.

    Joined once: a second time they would meet at the addresses of the first. Raises WorkerLostError if one goes away.
    """
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several and not dist.is_initialized():  # long enough to wait for a run that another process is training
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=1))
        atexit.register(dist.destroy_process_group)
    try:
        yield rank_and_world()
    except RuntimeError as error:
        if not several or not _is_loss_of_worker(error):
            raise
        raise WorkerLostError("another worker went away; the same command goes on from the last checkpoint") from None


def _is_loss_of_worker(error: RuntimeError) -> bool:
    """What NCCL, gloo and torchrun's store say when the other end of a line is gone."""
    said = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "recvValue failed")
    return isinstance(error, dist.DistError) or any(words in str(error) for words in said)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block on that many CPU threads; two processes that share cores without this slow each other fivefold.

    Subnormal numbers, which cost a CPU a hundred times the work and change nothing, count as zero in it. The caller's
    settings come back.
    """
    before, flushed = torch.get_num_threads(), not torch.tensor(1e-40).mul(1).item()
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)
