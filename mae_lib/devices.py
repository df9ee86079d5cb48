"""The device of a run: CUDA, MPS or the CPU."""

import os

import torch


def best_device(name: str | None = None) -> torch.device:
    """The device of that name, by default CUDA, then MPS, then the CPU; under torchrun each worker gets its own GPU.

    Raises ValueError for a name that torch does not know or a device that is not available.
    """
    found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name or found)
    except RuntimeError:
        raise ValueError(f"device {name!r} is unknown: choose cpu, cuda or mps") from None
    if device.type not in {"cpu", found}:
        raise ValueError(f"device {name!r} is not available here: choose {' or '.join(sorted({'cpu', found}))}")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    return device
