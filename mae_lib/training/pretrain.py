"""Pretraining for the paper's experiments: from a config to a finished run, trained at most once.

    python -m mae_lib pretrain --preset laptop --mask-ratio 0.75 --unit 8

A run's address is everything that determines it (its config, its world and the trainer's declared version), so
a second call reads it, simultaneous calls train it once, and a call after a kill resumes it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mae_lib.training.batches import mae_batches
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import BatchOf, train
from mae_lib.training.hardware import Hardware
from mae_lib.training.mae import MAE
from mae_lib.training.run import Run, folder_of, trained_once
from mae_lib.worlds import rendered


def pretrain(
    config: PretrainConfig,
    runs: str | Path | None = None,
    hardware: Hardware = Hardware(),
    snapshots: int = 0,
    images: Callable[[], Tensor] | None = None,
) -> Run:
    """The run of `config` in the folder `runs` (by default `mae_lib.folders.runs_folder()`), trained if need be.

    `snapshots` keeps that many intermediate models, see `Run.snapshots`. `images()` replaces the world's images, uint8
    (unique_images, 3, image_size, image_size). Raises ValueError for a device or batch that does not fit, DivergedError
    and CheckpointError as `engine.train` does.
    """
    run = Run(folder_of(runs) / config.name)

    def learn() -> tuple[MAE, dict[str, Any]]:
        batches = _batches(config, folder_of(runs) / "images", hardware, images)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = config.model()
        loss_of = lambda net, batch: net(*batch).loss  # noqa: E731
        result = train(model, batches, loss_of, config.schedule(), run.directory, hardware, snapshots=snapshots)
        return model, result | ({"skipped_images": len(batches.broken)} if hasattr(batches, "broken") else {})

    trained_once(run.directory, config, learn, hardware)
    return run


def _batches(config: PretrainConfig, cache: Path, hardware: Hardware, images: Callable[[], Tensor] | None) -> BatchOf:
    world = config.make_world()
    if images is None and world.batches:  # too many images to render first
        return world.batches(config, hardware)
    drawn = rendered(world, "train", config.unique_images, cache) if images is None else images()
    return mae_batches(config, drawn, hardware.torch_device)
