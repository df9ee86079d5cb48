"""The tensors in a file released by others, in torch's format or safetensors, whatever wraps them.

Files are read as data only. torch's weights-only reader accepts tensors, and as the only objects a Namespace
of settings and paths, which facebookresearch/mae stores with the weights. For any other file, the error names its kind.
"""

import argparse
import json
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from pickle import UnpicklingError
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from mae_lib.training import released_names
from mae_lib.training.checkpoints import CheckpointError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # of a folder that transformers wrote
_PATCHES = "patch_embed.proj.weight"
_STATES = ("model", "state_dict", "model_state_dict", "module")  # where a training checkpoint stores the tensors
_WRAPPERS = re.compile(r"(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_HEADS = ("head", "fc_norm")  # of a classifier, ignored
_ABOUT = "mae_lib"  # our entry in a safetensors file's metadata
_PATHS = {"PosixPath": PurePosixPath, "WindowsPath": PureWindowsPath}
_PATHS |= {path.__name__: path for path in (PurePosixPath, PureWindowsPath)}
_SAFE = [argparse.Namespace]  # and paths, under the names of every Python version and system
_SAFE += [(kind, f"{module}.{name}") for module in ("pathlib", "pathlib._local") for name, kind in _PATHS.items()]


def weights_in(path: Path) -> Path:
    """The file of weights in a folder that transformers wrote; any other path is returned as is.

    Raises CheckpointError for a folder without one.
    """
    if not path.is_dir():
        return path
    found = [path / name for name in WEIGHTS if (path / name).is_file()]
    if not found:
        shards = " but shards: save it again in one file" if list(path.glob("*.index.json")) else ""
        raise CheckpointError(f"{path}: is a folder without {' or '.join(WEIGHTS)}{shards}")
    return found[0]


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The encoder's tensors, and a decoder's if there is one, under facebookresearch/mae's names, and the settings
    stored with them, if any: in the file, or for transformers in its folder.

    Raises CheckpointError for a file that is missing, damaged, or contains anything else.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    with open(path, "rb") as file:
        start = file.read(64)
    known = start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32  # a header's length, then JSON
    if not known:
        _check_kind(path, start)
    safe = known or (path.suffix == ".safetensors" and not start.startswith(b"PK"))
    whole = _of_safetensors(path) if safe else _of_torch(path)
    state = next((whole[name] for name in _STATES if name in whole), whole) if isinstance(whole, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        known = f": it holds {', '.join(map(str, list(whole)[:6]))}" if isinstance(whole, dict) and whole else ""
        raise CheckpointError(f"{path}: holds no state of a model{known}: a mapping of names to tensors is needed")
    settings = whole.get("args")
    settings = vars(settings) if isinstance(settings, argparse.Namespace) else settings
    state = {_WRAPPERS.sub("", str(name)): value for name, value in state.items()}
    if (prefix := _prefix(path, state, released_names.PATCHES)) is not None:
        state, settings = released_names.of_transformers(path, state, prefix), released_names.beside(path)
    elif prefix := _prefix(path, state, _PATCHES):
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    _check_numbers(path, state)
    return state, settings if isinstance(settings, dict) else {}


def read_about(path: Path) -> dict[str, Any] | None:
    """What `to_safetensors` stored with the tensors; None for any other file."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {})[_ABOUT])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None


def to_safetensors(state: dict[str, Tensor], about: dict[str, Any]) -> bytes:
    """A safetensors file's bytes, with `about` in its metadata."""
    return safetensors.torch.save(state, {_ABOUT: json.dumps(about)})


def _check_kind(path: Path, start: bytes) -> None:
    """Raise an error that says what a failed download has left in place of a checkpoint."""
    found = None
    if not start:
        found = "is empty"
    elif start.startswith(b"version https://git-lfs"):
        found = "is a pointer of Git LFS and not the file itself: git lfs pull fetches it"
    elif start.lstrip().startswith(b"<"):
        found = "is a web page and no checkpoint: the download went wrong"
    elif start.lstrip().startswith((b"{", b"[")):
        found = "is text (JSON) and no checkpoint"
    if found:
        raise CheckpointError(f"{path}: {found}")


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None


def _of_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_SAFE), open(path, "rb") as file:  # by its content, not by its name
            return torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError, TypeError) as error:
        text = str(error)
        if found := re.search(r"GLOBAL (\S+)", text):
            known = f"it holds a {found[1]}, which is no data: save the model's state_dict() alone"
            raise CheckpointError(f"{path}: is no checkpoint of tensors alone: {known}") from None
        raise _damaged(path, text.split("WeightsUnpickler error: ")[-1] or type(error).__name__) from None


def _damaged(path: Path, reason: str) -> CheckpointError:
    first = (reason.strip().splitlines() or [""])[0]
    return CheckpointError(f"{path}: is no checkpoint of tensors alone, or is damaged ({first})")


def _prefix(path: Path, state: dict[str, Tensor], patches: str) -> str | None:
    """The prefix of the names of the one encoder with the patch embedding `patches`, or None if there is none:
    DistributedDataParallel, Lightning and others add a prefix."""
    places = [name.removesuffix(patches) for name in state if name.endswith(patches)]
    prefixes = [place for place in places if not place or place.endswith(".")]
    if len(prefixes) > 1:
        shown = ", ".join(repr(prefix) for prefix in prefixes)
        raise CheckpointError(f"{path}: holds several encoders, under {shown}: save one of them alone")
    return prefixes[0] if prefixes else None


def _check_numbers(path: Path, state: dict[str, Tensor]) -> None:
    for name, value in state.items():
        if name.startswith(_HEADS):
            continue
        if not value.is_floating_point() and name.endswith((".weight", ".bias")):
            raise CheckpointError(f"{path}: {name} is {value.dtype}, quantised perhaps: floats are needed")
        if not value.isfinite().all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinite values: the training diverged")
