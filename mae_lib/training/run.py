"""A run's folder: locked by one process at a time, finished atomically, readable by all.

`runs/figurines-r0.75-u8-s0-1f2e3d4c5b/` finally contains config.json, log.jsonl, model.safetensors with model.json, and
done.json (wall time, images/s, device, threads, versions), which is written last and marks the run as finished.
"""

import fcntl
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import timm
import torch
from torch import nn

from mae_lib.folders import runs_folder
from mae_lib.training import checkpoints
from mae_lib.training.config import PretrainConfig
from mae_lib.training.hardware import Hardware, meet, process_group, rank_and_world, threads
from mae_lib.training.mae import MAE
from mae_lib.training.tensorboard import draw_finished

Learn = Callable[[], tuple[nn.Module, dict[str, Any]]]  # the model to keep, and its entries in done.json


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
        """The run's cost: steps, seconds, `images_per_second`, loss, device, threads, workers, versions."""
        return checkpoints.read_json(self.directory / "done.json")

    def history(self) -> list[dict[str, float]]:
        """The log: a dict of step, loss, lr, `images_per_second` and seconds for each line."""
        return [json.loads(line) for line in (self.directory / "log.jsonl").read_text().splitlines()]

    def load(self, device: str | torch.device = "cpu") -> MAE:
        """The trained model in eval mode. Raises CheckpointError for a damaged file."""
        return load_model(self.directory / "model", device)

    def snapshots(self, device: str | torch.device = "cpu") -> Iterator[tuple[int, MAE]]:
        """The intermediate models, each with the images visited until then; none unless `pretrain` kept some."""
        for step, path in checkpoints.snapshots(self.directory).items():
            model = self.config.model()
            missing = model.load_state_dict(checkpoints.load(path)[0], strict=False).missing_keys
            learned = {name for name, value in model.named_parameters() if value.requires_grad}
            if learned & set(missing):
                raise checkpoints.CheckpointError(f"{path}: does not hold this run's model")
            yield step * self.config.batch, model.to(device).eval()

    def export(self, path: str | Path) -> None:
        """Write encoder and decoder to `path`.safetensors and .json, learned weights in half precision."""
        model = self.load()
        fixed = {name for name, value in model.named_parameters() if not value.requires_grad}
        state = {name: value if name in fixed else value.half() for name, value in model.state_dict().items()}
        checkpoints.save(path, state, {"config": asdict(self.config), "run": self.directory.name})


def load_model(path: str | Path, device: str | torch.device = "cpu") -> MAE:
    """A model in eval mode from a file by `pretrain` or `Run.export`, in float32 whatever the file's precision.

    Raises CheckpointError for a file that is damaged or not such a model.
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
    """The finished run of a config, or None if it has not been trained with this code."""
    directory = folder_of(runs) / config.name
    return Run(directory) if (directory / "done.json").is_file() else None


def trained_once(directory: Path, config: Any, learn: Learn, hardware: Hardware) -> None:
    """Call `learn` to train the run of `config`, a dataclass, unless `directory` already contains it finished.

    Call it in every worker of torchrun, and again in the same folder after a kill: it then resumes from the last
    checkpoint, as `engine.train` does.
    """
    with threads(hardware.threads), process_group(hardware.torch_device):
        made_once(directory, config, learn, _environment(hardware))
        if hardware.tensorboard and rank_and_world()[0] == 0:
            draw_finished(directory)


def made_once(directory: Path, config: Any, make: Learn, environment: dict[str, Any]) -> None:
    """Lock the folder and, unless done.json exists, write config.json, the output of `make`, and done.json last.

    Files needed only for resuming are removed. Workers of torchrun call `make` together, and the first of them writes.
    """
    with locked(directory):
        if (directory / "done.json").is_file():
            return
        first_worker = rank_and_world()[0] == 0
        if first_worker:
            checkpoints.write_json(directory / "config.json", asdict(config))
        model, result = make()
        if first_worker:
            about = {"config": asdict(config), "run": directory.name, "decoder": getattr(model, "has_decoder", True)}
            checkpoints.save(directory / "model", model.state_dict(), about)
            checkpoints.write_json(directory / "done.json", result | environment)
            checkpoints.prune(directory)
        meet()


def _environment(hardware: Hardware) -> dict[str, Any]:
    """Where and how a run was made."""
    device = hardware.torch_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": f"{device.type} ({name})",
        "threads": hardware.threads,
        "workers": rank_and_world()[1],
        "micro_batches": hardware.micro_batches,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm.__version__},
    }


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock the run's folder: other processes wait here, and the lock is released when its holder dies.

    Under torchrun the first worker locks it for all. A failure before anything is trained leaves no folder.
    """
    first_worker = rank_and_world()[0] == 0
    with _open_lock(directory, first_worker):
        if first_worker:
            checkpoints.sweep(directory)
        meet()
        try:
            yield
        except BaseException:
            if first_worker and {path.name for path in directory.iterdir()} <= {"lock", "config.json"}:
                shutil.rmtree(directory)
            raise


def _open_lock(directory: Path, wait: bool) -> TextIO:
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        lock = open(directory / "lock", "w")  # noqa: SIM115  its caller closes it
        if wait:
            _wait_for(lock, directory)
        if os.fstat(lock.fileno()).st_nlink:
            return lock
        lock.close()  # its holder failed and removed the folder


def _wait_for(lock: TextIO, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{directory.name}: another process is at it; waiting for what it makes", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def folder_of(runs: str | Path | None) -> Path:
    """The folder of all runs, by default `mae_lib.folders.runs_folder()`."""
    return runs_folder() if runs is None else Path(runs)
