"""Checkpoints that a kill, a full disk or a stray file cannot spoil: safetensors for tensors, JSON for the rest.

A checkpoint is a pair, `NAME.safetensors` and `NAME.json`. Each is written under a temporary name, flushed to the disk
and moved; the JSON goes last and holds the SHA-256 of the tensor file, so it vouches for a complete pair.
Nothing here unpickles or runs what a file contains.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

FORMAT = "mae_lib checkpoint 1"


class CheckpointError(ValueError):
    """A checkpoint that cannot be written or trusted; the message names the file and the reason."""


def save(path: str | Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write the pair `path`.safetensors and `path`.json; `about` is what JSON holds beside the tensors.

    Raises CheckpointError if the disk refuses; what stood there before then still stands.
    """
    body, head = _pair(path)
    payload = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    claim = {"format": FORMAT, "sha256": hashlib.sha256(payload).hexdigest(), "about": about}
    write_files({body: payload, head: _json(claim)})


def load(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and `about` of a checkpoint.

    Raises CheckpointError for a file that is missing, truncated, altered, or no checkpoint of this package.
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


def about(path: str | Path) -> dict[str, Any]:
    """What a checkpoint says of itself, without reading its tensors. Raises CheckpointError."""
    return _claim(path)["about"]


# Checkpoints of a run in progress


def save_state(folder: Path, step: int, model: nn.Module, optimiser: torch.optim.Optimizer, seconds: float) -> None:
    """Write the state after `step` steps, then remove older ones: the previous stays until the new one is complete."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for parameter, state in optimiser.state.items():
        tensors |= {f"optimiser.{names[parameter]}.{key}": value for key, value in state.items()}
    path = folder / f"checkpoint-{step:09d}"
    save(path, tensors, {"step": step, "seconds": seconds})
    for file in folder.glob("checkpoint-*"):
        if not file.name.startswith(path.name):
            file.unlink()


def latest(folder: Path) -> Path | None:
    """The tensor file of the newest complete checkpoint of a run, or None."""
    complete = sorted(folder.glob("checkpoint-*.json"))
    return complete[-1].with_suffix(".safetensors") if complete else None


def resume(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    """Bring model and optimiser to the newest checkpoint; the step and the seconds that led there, or (0, 0.0).

    Raises CheckpointError if the checkpoint is damaged or belongs to another model.
    """
    path = latest(folder)
    if path is None:
        return 0, 0.0
    tensors, about = load(path)
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    try:
        model.load_state_dict({name: tensors[f"model.{name}"] for name in model.state_dict()})
        for name, p in learned.items():
            state = {key: tensors[f"optimiser.{name}.{key}"] for key in ("exp_avg", "exp_avg_sq", "step")}
            # The fused kernel keeps its step beside the parameter.
            optimiser.state[p] = {key: value.to(p.device) for key, value in state.items()}
        return about["step"], about["seconds"]
    except (KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: belongs to another model ({error})") from None


# Files that are all there or not at all


def read_json(path: Path) -> Any:
    """Raises CheckpointError if the file is missing or is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise CheckpointError(f"{path}: truncated or not JSON") from None


def write_json(path: Path, value: Any) -> None:
    """All of it or nothing; raises CheckpointError if the disk refuses."""
    write_files({path: _json(value)})


def write_files(payloads: dict[Path, bytes]) -> None:
    """Each file whole and on the disk, moved into place in this order once all are written; else none of them.

    Raises CheckpointError if the disk refuses; what stood there before then still stands.
    """
    temporary = {path: path.with_name(f"{path.name}.{os.getpid()}.tmp") for path in payloads}
    try:
        for path, payload in payloads.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary[path], "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
        for path in payloads:
            os.replace(temporary[path], path)
    except OSError as error:
        for unfinished in temporary.values():
            unfinished.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from None


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _pair(path: str | Path) -> tuple[Path, Path]:
    """The files of a checkpoint, given by its name with or without `.safetensors`."""
    stem = str(path).removesuffix(".safetensors")
    return Path(f"{stem}.safetensors"), Path(f"{stem}.json")


def _claim(path: str | Path) -> dict[str, Any]:
    head = _pair(path)[1]
    claim = read_json(head)
    if not isinstance(claim, dict) or claim.get("format") != FORMAT or not {"sha256", "about"} <= claim.keys():
        raise CheckpointError(f"{head}: not a checkpoint of mae_lib (its format should be {FORMAT!r})")
    return claim
