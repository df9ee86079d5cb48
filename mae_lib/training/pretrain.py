"""Pretraining as the paper's experiments need it: a config in, a finished run out, trained at most once.

    python -m mae_lib pretrain --preset laptop --mask-ratio 0.75 --unit 8

Notable: a run's address is everything that determines it (its config, its world and the trainer's declared version),
so asking for it again reads it, asking for it twice at once trains it once, and asking for it after a kill
goes on where it was.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from mae_lib.devices import best_device
from mae_lib.training import checkpoints
from mae_lib.training.batches import mae_batches
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import BatchOf, rank_and_world, threads, train, workers
from mae_lib.training.run import Run, alone, circumstances, finish, folder_of
from mae_lib.worlds import rendered


def pretrain(
    config: PretrainConfig,
    runs: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
    micro_batches: int = 1,
    cpu_threads: int = 1,
    compiled: bool = False,
    checkpoint_blocks: bool = False,
    snapshots: int = 0,
) -> Run:
    """The run of `config` in the folder `runs` (by default `mae_lib.folders.runs_folder()`), trained if need be.

    Neither device, `micro_batches`, `cpu_threads`, the number of torchrun workers, `compiled` nor `checkpoint_blocks`
    (see `engine.ease`) changes more than the last bits.
    One thread is the default: small models gain little from a second, and lose much when other work wants the core.
    `snapshots` keeps that many models on the way, see `Run.snapshots`.
    Raises ValueError for a device or batch that does not fit, DivergedError and CheckpointError as `engine.train`.
    """
    world, folder = config.make_world(), folder_of(runs)

    def draw() -> Tensor | Callable[[torch.device, int], BatchOf]:
        if world.batches:  # too many images to render first
            return partial(world.batches, config)
        return rendered(world, "train", config.unique_images, folder / "images")

    more = {"compiled": compiled, "checkpoint_blocks": checkpoint_blocks, "snapshots": snapshots}
    return train_mae(config, draw, folder, device, progress, micro_batches, cpu_threads, **more)


def train_mae(
    config: PretrainConfig,
    draw: Callable[[], Tensor | Callable[[torch.device, int], BatchOf]],
    runs: Path,
    device: str | None = None,
    progress: bool = True,
    micro_batches: int = 1,
    cpu_threads: int = 1,
    save_seconds: float = 60,
    compiled: bool = False,
    checkpoint_blocks: bool = False,
    snapshots: int = 0,
) -> Run:
    """`pretrain` on the images that `draw()` gives, uint8 (unique_images, 3, image_size, image_size).

    Or on batches that it loads: then `draw()` gives a function from (device, micro_batches) to what `train` takes.
    """
    if cpu_threads < 1 or micro_batches < 1:
        raise ValueError(f"cpu_threads and micro_batches must be at least 1, not {cpu_threads} and {micro_batches}")
    where, run = best_device(device), Run(runs / config.name)
    with threads(cpu_threads), workers(where), alone(run.directory):
        if (run.directory / "done.json").is_file():
            return run
        images = draw()
        batches = mae_batches(config, images, where) if isinstance(images, Tensor) else images(where, micro_batches)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = config.model()
        if rank_and_world()[0] == 0:
            checkpoints.write_json(run.directory / "config.json", asdict(config))
        result = train(
            model,
            batches,
            lambda net, batch: net(*batch).loss,
            config.schedule(),
            run.directory,
            where,
            micro_batches=micro_batches,
            progress=progress,
            save_seconds=save_seconds,
            compiled=compiled,
            checkpoint_blocks=checkpoint_blocks,
            snapshots=snapshots,
        )
        if hasattr(batches, "broken"):
            result |= {"skipped_images": len(batches.broken)}
        if rank_and_world()[0] == 0:
            finish(run, config, model, result | circumstances(where, micro_batches, cpu_threads))
        if dist.is_initialized():
            dist.barrier()
    return run
