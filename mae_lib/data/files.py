"""Image files of a data set: finding them, reading them as data only, and counting the unreadable ones.

A folder's contents are inferred from names; nothing is unpickled or run, and a name listed in a file (a mapping, an
index) may not lead out of its folder.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")  # what a file may hold, whatever its name says
ENDINGS = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".gif")
_log = logging.getLogger(__name__)


class DataError(ValueError):
    """A data set that is missing, not laid out as expected, or too broken to use."""


class Unreadable(Exception):
    """One image that cannot be decoded; the message is the reason."""


class Images(Protocol):
    """The images of one set, however they are stored: as files, in shards, or as decoded pixels."""

    paths: np.ndarray  # (n,) bytes: names relative to the set's folder, with forward slashes
    labels: np.ndarray  # (n,) int64

    def __len__(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any name, label or storage that changes pixels."""
        ...

    def read(self, index: int) -> Image.Image:
        """Image `index` as RGB. Raises Unreadable for a corrupt one, DataError if the whole set is gone."""
        ...


class Named:
    """What all image storages share: names, labels and fingerprint."""

    paths: np.ndarray
    labels: np.ndarray
    pixels = "original"  # what determines the pixels besides the files

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.pixels}\0".encode())
        digest.update(b"\0".join(self.paths.tolist()) + b"\0" + self.labels.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Folder(Named):
    """Image files below `root`. A frame of `border` pixels is cut off each; `upright` turns them as EXIF says."""

    root: Path
    paths: np.ndarray
    labels: np.ndarray
    border: int = 0
    upright: bool = False

    def read(self, index: int) -> Image.Image:
        path = self.root / os.fsdecode(self.paths[index])
        try:
            with open(path, "rb") as file:
                image = decoded(file, self.upright)
        except OSError as error:
            if not self.root.is_dir():
                raise DataError(f"{self.root} has vanished: mount it again, and the same command goes on") from None
            raise Unreadable(error.strerror or str(error)) from None
        return cropped(image, self.border)


def decoded(file: object, upright: bool = False) -> Image.Image:
    """The image in an open file as RGB of 8 bits, the first if it holds several. Raises Unreadable if no decoder
    accepts it. `upright`: turned and mirrored as its EXIF data say; published sets are read without."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            return as_rgb(ImageOps.exif_transpose(image) if upright else image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise all kinds of errors
        raise Unreadable(str(error) or type(error).__name__) from None


def as_rgb(image: Image.Image) -> Image.Image:
    """An image of any of Pillow's modes as RGB. Transparency is dropped, and of 16 bits the upper eight are kept.

    Raises Unreadable for numbers without a known range, such as floats.
    """
    if image.mode.startswith("I"):  # Pillow would clip 16 bits at 255
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise Unreadable(f"its values reach from {deep.min()} to {deep.max()}: at most 16 bits can be read")
        image = Image.fromarray((deep >> 8).astype(np.uint8))
    elif image.mode == "F":
        raise Unreadable("its values are floats of unknown range")
    return image.convert("RGB")


def cropped(image: Image.Image, border: int) -> Image.Image:
    """The image without a frame of `border` pixels. Raises Unreadable for one that is all frame."""
    if not border:
        return image
    width, height = image.size
    if min(width, height) <= 2 * border:
        raise Unreadable(f"{width} x {height} pixels leave nothing within a border of {border}")
    return image.crop((border, border, width - border, height - border))


class Broken:
    """The unreadable images so far: each is logged once, and too many end the run.

    `limit` is the largest share allowed, in [0, 1].
    """

    def __init__(self, images: Images, limit: float) -> None:
        if not 0 <= limit <= 1:
            raise DataError(f"the share of broken images is {limit}: it must lie in [0, 1]")
        self.images, self.limit, self.reasons = images, limit, {}

    def __len__(self) -> int:
        return len(self.reasons)

    def add(self, found: Iterable[tuple[int, str]]) -> None:
        """Count images by number, with reasons. Raises DataError once they exceed the limit."""
        for index, reason in found:
            if index not in self.reasons:
                self.reasons[index] = reason
                _log.warning("skipped %s: %s (%d so far)", self._path(index), reason, len(self))
        if len(self) > self.limit * len(self.images):
            last = next(reversed(self.reasons))
            raise DataError(
                f"{len(self)} of {len(self.images)} images cannot be read, more than a share of {self.limit:g}; the "
                f"last is {self._path(last)} ({self.reasons[last]}): repair it, or raise `max_broken`"
            )

    def _path(self, index: int) -> str:
        name = os.fsdecode(self.images.paths[index])
        return str(self.images.root / name) if hasattr(self.images, "root") else name


def readable(images: Images, index: int) -> tuple[Image.Image, int, list[tuple[int, str]]]:
    """Image `index`, or the next readable one, its number, and the skipped ones with reasons.

    Raises DataError if none can be read.
    """
    broken: list[tuple[int, str]] = []
    for step in range(len(images)):
        number = (index + step) % len(images)
        try:
            return images.read(number), number, broken
        except Unreadable as error:
            broken.append((number, str(error)))
            if len(broken) == 100:
                break
    path, reason = os.fsdecode(images.paths[broken[-1][0]]), broken[-1][1]
    raise DataError(f"{len(broken)} images in a row cannot be read; the last is {path} ({reason})")


# Finding them


def found(variable: str, given: str | Path | None, wanted: str) -> Path:
    """The folder of a set: `given`, else the environment variable's.

    Raises DataError, saying what was wanted and what was found, if that is not a folder.
    """
    named = given or os.environ.get(variable)
    if not named:
        raise DataError(f"{variable} is not set: it should name the folder with {wanted}")
    root = Path(named).expanduser()
    if not root.is_dir():
        raise DataError(f"{root} ({variable}) is {'a file' if root.exists() else 'not there'}: it should hold {wanted}")
    return root.resolve()


def inner(root: Path, *names: str) -> Path:
    """`root` itself, or the first of these folders in it, since archives unpack in both ways."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def contents(folder: Path, most: int = 4) -> str:
    """A folder's contents, worded for an error: "3 entries: a, b, c"."""
    names = sorted(os.listdir(folder))
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} entries: {shown}" if names else "nothing"


def class_folders(root: Path, labels: dict[str, int], wanted: str, border: int = 0) -> Folder:
    """The images in `root/<class>/`, each labelled by its folder through `labels`; other folders are ignored.

    Raises DataError if there is no such folder, or none with an image.
    """
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if entry.name in labels and entry.is_dir())
    paths, numbers = [], []
    for name in names:
        files = image_names(root / name)
        paths += [os.fsencode(f"{name}/{file}") for file in files]
        numbers += [labels[name]] * len(files)
    if not paths:
        raise DataError(f"{root} holds {contents(root)}; it should hold {wanted}")
    return Folder(root, np.array(paths), np.array(numbers, dtype=np.int64), border)


def image_names(folder: Path) -> list[str]:
    """The image files of a folder by their endings, sorted; hidden ones are left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.name.lower().endswith(ENDINGS) and not e.name.startswith("."))


def safe_name(name: str, source: str | Path) -> str:
    """A relative name listed in a file. Raises DataError if it leads out of its folder."""
    parts: Sequence[str] = name.replace("\\", "/").split("/")
    if not name or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        raise DataError(f"{source} names {name!r}, which may lead out of its folder")
    return name
