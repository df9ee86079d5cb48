"""A set packed for speed: its pixels decoded once, uint8 in one memory-mapped file, and read like the files.

    python -m mae_lib pack /data/imagenet /fast/imagenet --shorter 256
    export MAE_LIB_IMAGENET=/fast/imagenet

`resident` puts the same pixels into this process's memory instead, for sets that fit.

Resizing at packing changes the pixels, so they have another fingerprint, and runs on them another address.
"""

import fcntl
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import functional as F
from tqdm import tqdm

from mae_lib.data.files import Broken, DataError, Images, Named, Unreadable
from mae_lib.data.loading import check_shared_memory
from mae_lib.data.views import BICUBIC

_INDEX = "index.npz"


@dataclass(frozen=True)
class Pixels(Named):
    """Decoded images one after another in `flat`, uint8; image i is `(*shapes[i], 3)` from `starts[i]` on."""

    flat: np.ndarray
    starts: np.ndarray
    shapes: np.ndarray  # (n, 2): height and width
    paths: np.ndarray
    labels: np.ndarray
    pixels: str = "original"

    def read(self, index: int) -> Image.Image:
        (height, width), start = self.shapes[index].tolist(), int(self.starts[index])
        return Image.fromarray(self.flat[start : start + height * width * 3].reshape(height, width, 3))


def opened(folder: Path) -> Images | None:
    """The pack in `folder`, or None if it is missing or incomplete. Raises DataError for one that is damaged."""
    if any(folder.glob("*.part")):
        return None
    return _opened(folder) if (folder / "pixels.bin").is_file() else None


def pack(images: Images, folder: Path, shorter: int | None = None, workers: int = 0, limit: float = 0.01) -> Images:
    """Write the pixels of `images` into `folder`, or reuse them; unreadable ones are logged and left out.

    `shorter`: side in pixels that the shorter side of larger images is resized to; `None` keeps them as they are. Of
    two concurrent processes one packs and the other waits. Raises DataError for a folder with other content, or more
    than a share `limit` of images that cannot be read.
    """
    if shorter is not None and shorter < 1:
        raise DataError(f"shorter is {shorter}: it must be 1 pixel or more")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (there := opened(folder)) is None:
            _clear(folder)
            try:
                _write(images, folder, shorter, workers, limit)
            except DataError:
                _clear(folder)
                raise
            there = opened(folder)
    if not {*there.paths.tolist()} <= {*images.paths.tolist()}:
        raise DataError(f"{folder} holds a pack of another set: give another folder")
    return there


def _clear(folder: Path) -> None:
    """Remove the remains of an interrupted pack."""
    if any(folder.glob("*.part")):
        for file in (*folder.glob("*.part"), folder / _INDEX):
            file.unlink(missing_ok=True)


def resident(images: Images, workers: int = 0) -> Pixels:
    """The images decoded into memory at their full size, for sets that fit. Unreadable ones are logged and left out."""
    kept, arrays = _decoded(images, None, workers)
    flat = np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.zeros(0, np.uint8)
    return Pixels(flat, *_layout([a.shape[:2] for a in arrays]), images.paths[kept], images.labels[kept], images.pixels)


class _Decoding(torch.utils.data.Dataset):
    """A worker's task: decode, and resize if that makes an image smaller."""

    def __init__(self, images: Images, shorter: int | None) -> None:
        self.images, self.shorter = images, shorter

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[int, tuple[int, int], bytes] | tuple[int, None, str]:
        try:
            image = _shrunk(self.images.read(index), self.shorter)
        except Unreadable as error:
            return index, None, str(error)
        return index, (image.height, image.width), image.tobytes()  # bytes use a pipe, arrays shared memory


def _shrunk(image: Image.Image, shorter: int | None) -> Image.Image:
    return F.resize(image, shorter, BICUBIC) if shorter and min(image.size) > shorter else image


def _each(images: Images, shorter: int | None, workers: int, limit: float = 0.01) -> Iterator[tuple[int, np.ndarray]]:
    """Number and pixels of every image that can be read, in order. Raises DataError if too many cannot."""
    check_shared_memory(workers, 0)
    broken = Broken(images, limit)
    loader = DataLoader(_Decoding(images, shorter), batch_size=None, num_workers=workers)
    for index, sides, content in tqdm(loader, desc="decoding", unit=" images", delay=2, leave=False):
        if isinstance(content, str):
            broken.add([(index, content)])
        else:
            yield index, np.frombuffer(content, np.uint8).reshape(*sides, 3)


def _decoded(images: Images, shorter: int | None, workers: int) -> tuple[list[int], list[np.ndarray]]:
    found = list(_each(images, shorter, workers))
    return [index for index, _ in found], [array for _, array in found]


def _layout(shapes: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Where each image starts, and the shapes."""
    table = np.array(shapes, dtype=np.int32).reshape(-1, 2)
    sizes = table.astype(np.int64).prod(1) * 3
    return np.cumsum(sizes) - sizes, table


def _write(images: Images, folder: Path, shorter: int | None, workers: int, limit: float) -> None:
    kept, shapes = [], []
    with open(folder / "pixels.part", "wb") as file:
        for index, array in _each(images, shorter, workers, limit):
            file.write(array.tobytes())
            kept.append(index)
            shapes.append(array.shape[:2])
        file.flush()
        os.fsync(file.fileno())
    _write_index(folder, images, kept, _how(images, shorter), shapes=_layout(shapes)[1])
    os.replace(folder / "pixels.part", folder / "pixels.bin")  # last: it marks the pack as complete


def _opened(folder: Path) -> Pixels:
    index = _read_index(folder)
    starts, shapes = _layout(index["shapes"].tolist())
    flat = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")
    wanted = int(starts[-1] + shapes[-1].astype(np.int64).prod() * 3)
    if len(flat) != wanted:
        raise DataError(f"{folder / 'pixels.bin'} holds {len(flat)} bytes, not {wanted}: remove it and pack again")
    return Pixels(flat, starts, shapes, index["paths"], index["labels"], str(index["how"]))


# The index of a pack


def _how(images: Images, shorter: int | None) -> str:
    return images.pixels if shorter is None else f"{images.pixels}, shorter side {shorter}"


def _write_index(folder: Path, images: Images, kept: list[int], how: str, **arrays: np.ndarray) -> None:
    if not kept:
        raise DataError(f"none of {len(images)} images can be read: there is nothing to pack")
    with open(folder / f"{_INDEX}.part", "wb") as file:
        np.savez(file, paths=images.paths[kept], labels=images.labels[kept], how=np.array(how), **arrays)
    os.replace(folder / f"{_INDEX}.part", folder / _INDEX)


def _read_index(folder: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(folder / _INDEX, allow_pickle=False) as index:
            read = {name: index[name] for name in index.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder / _INDEX} is missing or damaged ({error}): remove the pack and pack again") from None
    if not {"paths", "labels", "how"} <= read.keys() or not len(read["paths"]) == len(read["labels"]) > 0:
        raise DataError(f"{folder / _INDEX} is not the index of a pack: remove the pack and pack again")
    return read
