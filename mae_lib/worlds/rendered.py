"""A split of a world, rendered once into a memory-mapped file that all processes share.

The file's name is a hash of what determines its bytes: a changed option or a changed renderer never meets an old file.
"""

import fcntl
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mae_lib.sources import source_hash
from mae_lib.worlds.world import World

_CHUNK = 128  # small enough for the intermediate images to stay in the cache


def _path(world: World, split: str, count: int, folder: Path) -> Path:
    key = json.dumps(
        [world.spec(), split, count, source_hash("mae_lib.worlds", type(world).__module__, without="theory")],
        sort_keys=True,
    )
    return folder / f"{world.name}-{split}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"


def _render(world: World, split: str, count: int, path: Path) -> None:
    """Write the file under a temporary name, then move it; a run that is killed leaves no file of the final name."""
    temporary = path.with_suffix(".part")
    out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(count, 3, world.size, world.size))
    with tqdm(total=count, desc=f"drawing {world.name} ({split})", unit=" images", delay=2, leave=False) as bar:
        for start in range(0, count, _CHUNK):
            indices = torch.arange(start, min(start + _CHUNK, count))
            out[start : start + len(indices)] = to_bytes(world.sample(indices, split).images).numpy()
            bar.update(len(indices))
    out.flush()
    del out
    os.replace(temporary, path)


def to_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] rounded to 256 levels: uint8, the same shape."""
    return (images * 255).round().to(torch.uint8)


def rendered(world: World, split: str, count: int, folder: str | Path) -> Tensor:
    """The first `count` images of a split: uint8 (count, 3, H, W), memory-mapped; `images / 255` is back in [0, 1].

    Drawn at the first call and kept in `folder`; of two processes that ask at once, one draws and the other waits.
    Writing into the returned tensor does not reach the file.
    """
    if count < 1:
        raise ValueError(f"count is {count}: at least one image is needed")
    path = _path(world, split, count, Path(folder))
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _render(world, split, count, path)
    return torch.from_numpy(np.load(path, mmap_mode="c"))
