"""What a training step costs: seconds and peak memory.

On a GPU torch counts the bytes. On a CPU nothing does, so a step runs in its own process and the system reports how far
that process's memory rose above its level with model and batch in place.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from mae_lib.devices import best_device
from mae_lib.training import PretrainConfig
from mae_lib.training.engine import adamw
from mae_lib.training.hardware import threads

_PEAK = Path("/proc/self/status")  # VmHWM: Linux's high-water mark


class StepCost(NamedTuple):
    """Median seconds of a step, each step's seconds, and bytes at the peak above what model and batch take."""

    seconds: float
    all_seconds: tuple[float, ...]
    peak_bytes: int | None  # None where the system does not report it


def step_cost(config: PretrainConfig, steps: int = 3, device: str | None = None) -> StepCost:
    """The cost of a training step (forward, backward and AdamW) of a batch of noise, on one CPU thread or a GPU.

    The first step, which allocates, is not timed. Raises ValueError for fewer than one timed step.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}: at least one must be timed")
    where = best_device(device)
    if where.type != "cpu":
        return _measured(config, steps, where)
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports happen once, and are not counted
    with ProcessPoolExecutor(1, context) as alone:
        return alone.submit(_measured, config, steps, where).result()


def _measured(config: PretrainConfig, steps: int, device: torch.device) -> StepCost:
    with threads(1):
        return _steps(config, steps, device)


def _steps(config: PretrainConfig, steps: int, device: torch.device) -> StepCost:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = config.model().to(device).train()
        images = torch.rand(config.batch, 3, config.image_size, config.image_size).to(device)
    mask = config.masks().sample(config.seed, 0, torch.arange(config.batch))
    optimiser = adamw(model, config.schedule())
    before, every = _start(device), []
    for _ in range(steps + 1):
        begun = time.perf_counter()
        model(images, mask).loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        every.append(time.perf_counter() - begun)
    after = _peak(device)
    return StepCost(median(every[1:]), tuple(every[1:]), None if after is None else after - before)


def _start(device: torch.device) -> int | None:
    """Start tracking the peak; returns the bytes in use."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    return _peak(device)


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if not _PEAK.is_file():
        return None
    line = next(line for line in _PEAK.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
