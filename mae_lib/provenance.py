"""Where a number comes from: parameters, seeds, device, wall time, versions and the hash of the code that made it."""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mae_lib.sources import source_hash

_PACKAGES = ("mae_lib", "torch", "torchvision", "timm", "numpy", "scikit-learn", "piq", "networkx")


def processor() -> str:
    """The name of this machine's processor: the vendor's, where the system reports it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The last commit that touched the package, None where there is no git or the package is not under it.

    "+changes" is added when files of the package differ from it.
    """
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
        return run.stdout.strip()

    try:
        commit = git("log", "-1", "--format=%H", "--", ".")
        return (commit + ("+changes" if git("status", "--porcelain", "--", ".") else "")) if commit else None
    except (OSError, subprocess.SubprocessError):
        return None


def provenance(
    parameters: Mapping[str, Any],
    modules: Sequence[str],
    started: float | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """What is needed to judge or recompute a number: JSON-able, always in the same order.

    `modules`: those that the computation uses ("mae_lib.training"); their code and everything that it imports are
    hashed. `started`: `time.time()` at the start, which gives the wall time in seconds. `device`: "cpu", "cuda" or
    "mps", by default the one that training would use. Seeds are read from the parameter `seeds` or `seed`.

    Raises ValueError for parameters that JSON cannot hold, or a start in the future.
    """
    try:
        parameters = json.loads(json.dumps(dict(parameters), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"parameters cannot be written as JSON: {error}") from None
    now = time.time()
    if started is not None and started > now:
        raise ValueError(f"started {started!r} lies in the future: give time.time() as it was at the start")
    where, threads = _where(device)
    seeds = parameters.get("seeds", parameters.get("seed"))
    return {
        "parameters": parameters,
        "seeds": seeds if isinstance(seeds, list) or seeds is None else [seeds],
        "device": where,
        "threads": threads,
        "wall_seconds": None if started is None else round(now - started, 1),
        "finished": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "code_hash": source_hash(*modules),
        "git_commit": git_commit(),
        "platform": platform.platform(terse=True),
    }


def _where(device: str | None) -> tuple[str, int]:
    """The device with its name, and the CPU threads; if torch is not loaded, the computation ran on the CPU."""
    if device is None and "torch" not in sys.modules:
        return f"cpu: {processor()}", int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    import torch

    from mae_lib.devices import best_device

    chosen = best_device(device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else processor()
    return f"{chosen.type}: {name}", torch.get_num_threads()
