"""Checkpoints that survive a kill, a full disk or a stray file: safetensors for tensors, JSON for the rest.

A checkpoint is a pair, `NAME.safetensors` and `NAME.json`. Each is written under a temporary name, flushed to the disk
and moved. The JSON file is moved last and contains the SHA-256 of the tensor file and of itself, so it certifies a
complete pair. Nothing here unpickles or executes a file's contents.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

FORMAT = "mae_lib checkpoint 2"
_STEP = re.compile(r"checkpoint-(\d{9,})\.json")


class CheckpointError(ValueError):
    """A checkpoint that cannot be written or trusted; the message names the file and the reason."""


def save(path: str | Path, tensors: dict[str, Tensor], about: dict[str, Any], new_folder: bool = True) -> None:
    """Write the pair `path`.safetensors and `path`.json; `about` goes into the JSON file.

    Raises CheckpointError if the disk refuses; what stood there before then still stands.
    """
    body, head = _pair(path)
    payload = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    claim = {"format": FORMAT, "sha256": hashlib.sha256(payload).hexdigest(), "about": about}
    write_files({body: payload, head: _json(claim | {"seal": _seal(claim)})}, new_folder)


def load(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and `about` of a checkpoint.

    Raises CheckpointError for a file that is missing, truncated, altered, or not a checkpoint of this package.
    """
    body, _ = _pair(path)
    claim = _claim(path)
    try:
        payload = body.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{body}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(payload).hexdigest() != claim["sha256"]:
        raise CheckpointError(f"{body}: truncated or altered, its SHA-256 is not the one in its JSON file")
    try:
        return safetensors.torch.load(payload), claim["about"]
    except SafetensorError as error:
        raise CheckpointError(f"{body}: not a safetensors file ({error})") from None


# Checkpoints of a run in progress


def state_of(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors needed to resume training: `model.NAME` and `optimiser.NAME.KEY`."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for parameter, state in optimiser.state.items():
        tensors |= {f"optimiser.{names[parameter]}.{key}": value for key, value in state.items()}
    return tensors


def save_state(folder: Path, step: int, model: nn.Module, optimiser: torch.optim.Optimizer, seconds: float) -> None:
    """Write the state after `step` steps and remove older ones. Raises CheckpointError if the folder is gone."""
    about = {"step": step, "seconds": seconds}
    # A folder that is gone is never recreated, not even between a check and a write: it would lack the log so far.
    save(folder / f"checkpoint-{step:09d}", state_of(model, optimiser), about, new_folder=False)
    prune(folder, step)


def save_snapshot(folder: Path, step: int, model: nn.Module) -> None:
    """Keep the model after `step` steps, learned weights in half precision, for a curve over training."""
    state = {name: value.half() for name, value in model.named_parameters() if value.requires_grad}
    save(folder / "snapshots" / f"{step:09d}", state, {"step": step})


def snapshots(folder: Path) -> dict[int, Path]:
    """The snapshots of a run by their step, ascending."""
    return {int(path.stem): path for path in sorted((folder / "snapshots").glob("*.safetensors"))}


def prune(folder: Path, step: int | None = None) -> None:
    """Remove all checkpoints of a run except that of `step`."""
    kept = f"checkpoint-{step:09d}." if step is not None else None
    for file in folder.glob("checkpoint-*"):
        if kept is None or not file.name.startswith(kept):
            file.unlink(missing_ok=True)


def latest(folder: Path) -> Path | None:
    """The tensor file of the newest complete checkpoint of a run, or None."""
    steps = [int(name[1]) for path in folder.glob("checkpoint-*.json") if (name := _STEP.fullmatch(path.name))]
    return folder / f"checkpoint-{max(steps):09d}.safetensors" if steps else None


def resume(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    """Load the newest checkpoint; returns its step and the seconds until then, (0, 0.0) if there is none.

    Raises CheckpointError if the checkpoint is damaged or belongs to another model.
    """
    path = latest(folder)
    if path is None:
        return 0, 0.0
    try:
        tensors, about = load(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; to begin this run anew, remove its checkpoint-* files") from None
    if not isinstance(about, dict) or [type(about.get(key)) for key in ("step", "seconds")] != [int, float]:
        raise CheckpointError(f"{path}: is no checkpoint of a run in progress (it does not say its step and seconds)")
    try:
        model.load_state_dict({name: tensors[f"model.{name}"] for name in model.state_dict()})
        for name, p in model.named_parameters():
            if p.requires_grad:
                optimiser.state[p] = _moments(tensors, f"optimiser.{name}.", p)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: belongs to another model ({error})") from None
    return about["step"], about["seconds"]


def _moments(tensors: dict[str, Tensor], prefix: str, p: nn.Parameter) -> dict[str, Tensor]:
    """The optimiser's state for a parameter: tensors of its shape, and its number of steps."""
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if not state or any(value.shape != (() if key == "step" else p.shape) for key, value in state.items()):
        raise ValueError(f"{prefix}* are missing or of another shape")
    return {key: value.to(p.device) for key, value in state.items()}  # a fused kernel's step too


# Files written whole or not at all


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises CheckpointError if the file is missing or is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path}: truncated or not JSON") from None


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; raises CheckpointError if the disk refuses."""
    write_files({path: _json(value)})


def write_files(payloads: dict[Path, bytes], new_folder: bool = True) -> None:
    """Write all files to the disk, then move them into place in this order; if one cannot be written, none is moved.

    Raises CheckpointError if the disk refuses; what stood there before then still stands.
    """
    temporary = {path: path.with_name(f"{path.name}.{os.getpid()}.tmp") for path in payloads}
    try:
        for path, payload in payloads.items():
            if new_folder:
                path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary[path], "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
        for path in payloads:
            os.replace(temporary[path], path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        for unfinished in temporary.values():
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Add a line to an existing file. Raises CheckpointError if it is gone, or if the disk refuses."""
    try:
        with open(path, "r+") as file:  # unlike "a", this never creates a file without the earlier lines
            file.seek(0, os.SEEK_END)
            file.write(line + "\n")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from None


def cut_log(log: Path, step: int) -> None:
    """Drop the lines after `step`, which will be written again, and a last line truncated by a kill."""
    try:
        lines = log.read_text().splitlines() if log.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{log}: a line is damaged; move the file away to go on without it") from None
    write_files({log: "".join(line + "\n" for line in kept).encode()})


def sweep(folder: Path) -> None:
    """Remove the remains of a killed process: half-written files, and checkpoints of a finished run.

    No other process may be writing there.
    """
    for unfinished in folder.glob("*.tmp"):
        unfinished.unlink(missing_ok=True)
    if (folder / "done.json").exists():
        prune(folder)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _pair(path: str | Path) -> tuple[Path, Path]:
    """The files of a checkpoint, given by its name with or without `.safetensors`."""
    stem = str(path).removesuffix(".safetensors")
    return Path(f"{stem}.safetensors"), Path(f"{stem}.json")


def _seal(claim: dict[str, Any]) -> str:
    """SHA-256 of a JSON file's claims, independent of its layout."""
    return hashlib.sha256(json.dumps(claim, sort_keys=True).encode()).hexdigest()


def _claim(path: str | Path) -> dict[str, Any]:
    head = _pair(path)[1]
    claim = read_json(head)
    if not isinstance(claim, dict) or claim.get("format") != FORMAT or not {"sha256", "about"} <= claim.keys():
        raise CheckpointError(f"{head}: not a checkpoint of mae_lib (its format should be {FORMAT!r})")
    if claim.pop("seal", None) != _seal(claim):
        raise CheckpointError(f"{head}: altered, its SHA-256 is not the one that it was sealed with")
    return claim
