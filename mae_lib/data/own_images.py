"""A user's own folder: its images at any depth, their digest, and which are kept for testing.

Hidden files and folders are ignored, as are links to what the folder contains anyway. Only names, sizes and contents
are read; nothing is written into the folder.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from mae_lib.data.files import ENDINGS, DataError, Folder, contents

_ENDS = 1 << 20  # bytes at either end of a file that its digest reads


def own_images(root: str | Path) -> tuple[Folder, tuple[str, ...]]:
    """The images below `root`, turned upright by their EXIF data, sorted by name; and their classes.

    The class is the folder within `root` that an image lies in, at any depth. If an image lies outside those folders,
    or there is only one, there are no classes: an empty tuple, and all labels are 0. Raises DataError for a folder that
    is missing or has no image, listing what it contains instead.
    """
    top = Path(root).expanduser()
    if not top.is_dir():
        raise DataError(f"root is {str(root)!r}, which is {'a file' if top.exists() else 'not there'}: name a folder")
    names = _below(top)
    if not names:
        raise DataError(f"{top} holds {contents(top)}; it should hold images, at any depth: {', '.join(ENDINGS)}")
    first = [name.split("/")[0] if "/" in name else "" for name in names]
    classes = tuple(sorted(set(first)))
    if "" in classes or len(classes) < 2:
        classes, first = (), [""] * len(names)
    number = {name: label for label, name in enumerate(classes or ("",))}
    labels = np.array([number[name] for name in first], dtype=np.int64)
    return Folder(top.resolve(), np.array([os.fsencode(name) for name in names]), labels, upright=True), classes


def _below(root: Path) -> list[str]:
    """Names of the images below a folder, relative to it and sorted; each file once, by its own name before a link's.

    A dangling link counts, so that it is reported among the unreadable images.
    """
    files, seen = [], set()
    folders, linked = [(str(root), "")], []
    while folders or linked:
        folder, prefix = (folders or linked).pop(0)  # links last: what they lead to may have been seen by then
        if (real := os.path.realpath(folder)) in seen:
            continue
        seen.add(real)
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                name, is_link = prefix + entry.name, entry.is_symlink()
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    (linked if is_link else folders).append((entry.path, f"{name}/"))
                elif entry.name.lower().endswith(ENDINGS) and (entry.is_file() or is_link):
                    leads = os.path.realpath(entry.path) if is_link else os.path.join(real, entry.name)
                    files.append((is_link, name, leads))
    own = {leads: name for _, name, leads in sorted(files, reverse=True)}
    return sorted(own.values())


def digest(images: Folder, cache: Path) -> str:
    """Sixteen hexadecimal digits of all files' names and contents, wherever the folder lies.

    Of a file above 2 MiB only the size and a MiB at either end are hashed. Results are cached in the JSON file `cache`
    by name, size and modification time, so that a second call reads nothing.
    """
    known, now, whole = _read(cache), {}, hashlib.sha256()
    for name in images.paths.tolist():
        path, text = os.path.join(os.fsencode(images.root), name), os.fsdecode(name)
        try:
            about = os.stat(path)
            stamp = [about.st_size, about.st_mtime_ns]
            held = known.get(text)
            now[text] = held if held and held[:2] == stamp else [*stamp, _of_file(path, about.st_size)]
        except OSError as error:
            now[text] = [0, 0, f"unreadable: {error.strerror}"]
        whole.update(name + b"\0" + now[text][2].encode() + b"\0")
    if now != known:
        cache.parent.mkdir(parents=True, exist_ok=True)
        part = cache.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(now))
        os.replace(part, cache)
    return whole.hexdigest()[:16]


def _read(cache: Path) -> dict[str, list]:
    try:
        held = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    whole = isinstance(held, dict) and all(isinstance(one, list) and len(one) == 3 for one in held.values())
    return held if whole else {}


def _of_file(path: bytes, size: int) -> str:
    with open(path, "rb") as file:
        found = hashlib.sha256(str(size).encode() + b"\0" + file.read(_ENDS))
        if size > 2 * _ENDS:
            file.seek(-_ENDS, os.SEEK_END)
        found.update(file.read())
    return found.hexdigest()[:32]


def splits(paths: np.ndarray, probe: float, test: float) -> dict[str, np.ndarray]:
    """The numbers of the images of "train", "probe" and "test", each in random order.

    An image's place is a hash of its name only, so adding files moves none between splits. `probe` and `test` are
    shares; if `probe` is 0, the probe uses the images of "train". With few images a split may be empty, and then takes
    the one whose place is nearest. Raises DataError for fewer images than splits.
    """
    places = np.array([int.from_bytes(hashlib.sha256(name).digest()[:6], "big") / 2**48 for name in paths.tolist()])
    order = np.argsort(places, kind="stable")
    shares = [test, probe, 1 - test - probe]
    wanted = sum(share > 0 for share in shares)
    if len(order) < wanted:
        few = f"{len(order)} image{'s' * (len(order) != 1)} to be read"
        raise DataError(f"{few}: at least {wanted} are needed, for training and for testing")
    ends = np.searchsorted(places[order], np.cumsum(shares[:2]))
    first, second = _at_least_one(ends, shares, len(order))
    found = {"test": order[:first], "probe": order[first:second], "train": order[second:]}
    return found if probe else found | {"probe": found["train"]}


def _at_least_one(ends: np.ndarray, shares: list[float], count: int) -> tuple[int, int]:
    """Where the first two of three parts of `count` things end, moved so that none with a share is empty."""
    middle = int(shares[1] > 0)
    first = min(max(int(ends[0]), 1), count - 1 - middle)
    second = min(max(int(ends[1]), first + middle), count - 1)
    return first, second
