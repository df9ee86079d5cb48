"""A split of a world, rendered once into a memory-mapped file that all processes share.

The file's name includes a hash of what determines its bytes: the world's options and version.
"""

import fcntl
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mae_lib.address import address
from mae_lib.worlds.world import World

_CHUNK = 128  # small enough for the intermediate images to stay in the cache


def _path(world: World, split: str, count: int, folder: Path) -> Path:
    return folder / f"{world.name}-{split}-{address(world.address(), split, count, digits=16)}.npy"


def _render(world: World, split: str, count: int, path: Path) -> None:
    """Write the file under a temporary name, then move it; a killed run leaves no file under the final name.

    Written, not mapped: on a full disk a map kills the process, a write raises OSError.
    """
    temporary = path.with_suffix(".part")
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, world.size, world.size)}
    bar = tqdm(total=count, desc=f"drawing {world.name} ({split})", unit=" images", delay=2, leave=False)
    try:
        with open(temporary, "wb") as file, bar:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, count, _CHUNK):
                indices = torch.arange(start, min(start + _CHUNK, count))
                file.write(to_bytes(world.sample(indices, split).images).numpy().tobytes())
                bar.update(len(indices))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from None


def _opened(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The images of a file, or None if it is missing, cut short, or not what it should be."""
    try:
        images = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def to_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] rounded to 256 levels: uint8, the same shape."""
    return (images * 255).round().to(torch.uint8)


def rendered(world: World, split: str, count: int, folder: str | Path) -> Tensor:
    """The first `count` images of a split: uint8 (count, 3, H, W), memory-mapped; `images / 255` is back in [0, 1].

    Rendered on the first call and kept in `folder`; of two concurrent processes, one renders and the other waits. A
    truncated file is rendered again. Writing into the returned tensor does not reach the file. Raises OSError, naming
    the file, if it cannot be written.
    """
    if count < 1:
        raise ValueError(f"count is {count}: at least one image is needed")
    path = _path(world, split, count, Path(folder))
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shape = (count, 3, world.size, world.size)
        if (images := _opened(path, shape)) is None:
            _render(world, split, count, path)
            images = _opened(path, shape)
    return torch.from_numpy(images)
