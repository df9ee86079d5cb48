"""Pretraining as the paper's experiments need it: a config in, a finished run out, trained at most once.

    python -m mae_lib pretrain --preset laptop --mask-ratio 0.75 --unit 8

Notable: a run is addressed by the hash of everything that determines it (the config and the source of the modules
used), so asking for it again reads it, asking for it twice at once trains it once, and asking for it after a kill
goes on where it was. `runs/figurines-r0.75-u8-s0-1f2e3d4c5b/` ends up holding config.json, log.jsonl,
model.safetensors with model.json, and done.json (wall time, images/s, device, threads, versions).
"""

import fcntl
import json
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TextIO

import timm
import torch
import torch.distributed as dist
from torch import Tensor

from mae_lib import randomness
from mae_lib.folders import runs_folder
from mae_lib.training import checkpoints
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import BatchOf, best_device, rank_and_world, threads, train, workers
from mae_lib.training.mae import MAE
from mae_lib.training.structured_masks import inner_weights
from mae_lib.worlds import rendered


@dataclass(frozen=True)
class Run:
    """A finished pretraining run in its folder."""

    directory: Path

    @property
    def config(self) -> PretrainConfig:
        path = self.directory / "config.json"
        try:
            return PretrainConfig(**checkpoints.read_json(path))
        except TypeError as error:
            raise checkpoints.CheckpointError(f"{path}: is not the config of a run ({error})") from None

    @property
    def done(self) -> dict[str, Any]:
        """What it took: steps, seconds, images_per_second, loss, device, threads, workers, versions."""
        return checkpoints.read_json(self.directory / "done.json")

    def history(self) -> list[dict[str, float]]:
        """The log: a dict of step, loss, lr, images_per_second and seconds for each line."""
        return [json.loads(line) for line in (self.directory / "log.jsonl").read_text().splitlines()]

    def load(self, device: str | torch.device = "cpu") -> MAE:
        """The trained model in eval mode. Raises CheckpointError for a damaged file."""
        return load_model(self.directory / "model", device)

    def export(self, path: str | Path) -> None:
        """Write encoder and decoder to `path`.safetensors and .json, what was learned in half precision."""
        model = self.load()
        fixed = {name for name, value in model.named_parameters() if not value.requires_grad}
        state = {name: value if name in fixed else value.half() for name, value in model.state_dict().items()}
        checkpoints.save(path, state, {"config": asdict(self.config), "run": self.directory.name})


def load_model(path: str | Path, device: str | torch.device = "cpu") -> MAE:
    """A model in eval mode from what `pretrain` or `Run.export` wrote, float32 whatever the file holds.

    Raises CheckpointError for a file that is damaged or is no such model.
    """
    tensors, about = checkpoints.load(path)
    try:
        model = PretrainConfig(**about["config"]).model()
        model.load_state_dict(tensors)
        model.has_decoder = about.get("decoder", True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise checkpoints.CheckpointError(f"{path}: does not hold a pretrained model ({error})") from None
    return model.to(device).eval()


def find(config: PretrainConfig, runs: str | Path | None = None) -> Run | None:
    """The finished run of a config, or None if nobody has trained it with this code."""
    directory = _folder(runs) / config.name
    return Run(directory) if (directory / "done.json").is_file() else None


def pretrain(
    config: PretrainConfig,
    runs: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
    micro_batches: int = 1,
    cpu_threads: int = 1,
    compiled: bool = False,
    checkpoint_blocks: bool = False,
) -> Run:
    """The run of `config` in the folder `runs` (by default `mae_lib.folders.runs_folder()`), trained if need be.

    Neither device, `micro_batches`, `cpu_threads`, the number of torchrun workers, `compiled` nor `checkpoint_blocks`
    (see `engine.ease`) changes more than the last bits.
    One thread is the default: small models gain little from a second, and lose much when other work wants the core.
    Raises ValueError for a device or batch that does not fit, DivergedError and CheckpointError as `engine.train`.
    """
    world, folder = config.make_world(), _folder(runs)

    def draw() -> Tensor | Callable[[torch.device, int], BatchOf]:
        if hasattr(world, "batches"):  # too many images to render first
            return partial(world.batches, config)
        return rendered(world, "train", config.unique_images, folder / "images")

    easing = {"compiled": compiled, "checkpoint_blocks": checkpoint_blocks}
    return train_mae(config, draw, folder, device, progress, micro_batches, cpu_threads, **easing)


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
) -> Run:
    """`pretrain` on the images that `draw()` gives, uint8 (unique_images, 3, image_size, image_size).

    Or on batches that it loads: then `draw()` gives a function from (device, micro_batches) to what `train` takes.
    """
    if cpu_threads < 1 or micro_batches < 1:
        raise ValueError(f"cpu_threads and micro_batches must be at least 1, not {cpu_threads} and {micro_batches}")
    where, run = best_device(device), Run(runs / config.name)
    with threads(cpu_threads), workers(where), _alone(run.directory):
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
            micro_batches,
            progress,
            save_seconds,
            compiled,
            checkpoint_blocks,
        )
        if hasattr(batches, "broken"):
            result |= {"skipped_images": len(batches.broken)}
        if rank_and_world()[0] == 0:
            _finish(run, config, model, result | _circumstances(where, micro_batches, cpu_threads))
        if dist.is_initialized():
            dist.barrier()
    return run


def mae_batches(
    config: PretrainConfig, images: Tensor, device: torch.device
) -> Callable[[int, Tensor], tuple[Tensor, ...]]:
    """A function from (step, rows) to float images in [0, 1] on `device` and masks on the CPU, with the weights of
    their patches in the loss where `config.boundary` leaves some out.

    Images stay uint8, on the device unless that is the CPU. Every pass over them is a permutation of its own. Raises
    ValueError for images that do not fit the config.
    """
    if images.shape != (config.unique_images, 3, config.image_size, config.image_size):
        raise ValueError(
            f"images of shape {tuple(images.shape)} do not fit the config, {config.unique_images} "
            f"of {config.image_size} pixels"
        )
    hidden, count = hidden_patches(config), len(images)
    images = images.to(device)

    @lru_cache(maxsize=2)  # a batch may hold the end of one pass and the start of the next
    def order(epoch: int) -> Tensor:
        return randomness.ranks(config.seed, torch.tensor([epoch]), "order", count)[0]

    def batch_of(step: int, rows: Tensor) -> tuple[Tensor, ...]:
        visits = step * config.batch + rows
        epochs = visits // count
        chosen = torch.empty_like(rows)
        for epoch in epochs.unique().tolist():
            chosen[epochs == epoch] = order(epoch)[visits[epochs == epoch] % count]
        batch = images[chosen.to(device)].float().div_(255)
        if config.flip:
            mirrored = randomness.integers(2, config.seed, visits, "flip").bool().to(device)
            batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
        return (batch, *hidden(step, rows))

    return batch_of


def hidden_patches(config: PretrainConfig) -> Callable[[int, Tensor], tuple[Tensor, ...]]:
    """A function from (step, rows) to masks on the CPU, with the weights of their patches in the loss where
    `config.boundary` leaves some out."""
    masks = config.masks()

    @lru_cache(maxsize=1)  # of the whole batch: what a patch weighs depends on how many count in all of its pieces
    def weights(step: int) -> Tensor:
        return inner_weights(masks.sample(config.seed, step, torch.arange(config.batch)), config.boundary)

    def hidden(step: int, rows: Tensor) -> tuple[Tensor, ...]:
        sampled = masks.sample(config.seed, step, rows)
        return (sampled, weights(step)[rows]) if config.boundary else (sampled,)

    return hidden


def _finish(run: Run, config: PretrainConfig, model: MAE, done: dict[str, Any]) -> None:
    """Write the model, then done.json, which makes the run a finished one; then drop what only resuming needed."""
    checkpoints.save(run.directory / "model", model.state_dict(), {"config": asdict(config), "run": run.directory.name})
    checkpoints.write_json(run.directory / "done.json", done)
    checkpoints.prune(run.directory)


def _circumstances(device: torch.device, micro_batches: int, cpu_threads: int) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": f"{device.type} ({name})",
        "threads": cpu_threads,
        "workers": rank_and_world()[1],
        "micro_batches": micro_batches,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm.__version__},
    }


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the run's folder: another process that wants it waits here, and the lock goes when its holder dies.

    Under torchrun the first worker holds it for all.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rank, world = rank_and_world()
    with open(directory / "lock", "w") as lock:
        if rank == 0:
            _wait_for(lock, directory)
            checkpoints.sweep(directory)
        if world > 1:
            dist.barrier()
        yield


def _wait_for(lock: TextIO, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{directory.name}: another process is at it; waiting for what it makes", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _folder(runs: str | Path | None) -> Path:
    return runs_folder() if runs is None else Path(runs)
