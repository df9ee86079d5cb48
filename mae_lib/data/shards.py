"""webdataset's shards as others wrote them: which image lies where, and what its label is.

A *sample* is the members of one shard that share a key, the path up to the first dot of the file's name; here it is a
picture, `000001.jpg`, and a label, `000001.cls`. Keys may begin anew in each shard. Other members, such as .json or a
second picture `000001.mask.png`, are left alone. What would give an image another's label, or lose it, is refused.
"""

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mae_lib.data.files import ENDINGS, DataError, safe_name

_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK": "zip"}
_WANTED = "a shard holds pairs such as 000001.jpg and 000001.cls, a label from 0 to 999"
_BLOCK = 512  # bytes: of a tar file's headers
Sample = tuple[tarfile.TarInfo, int]  # a picture and its label


def key_of(name: str) -> str:
    """webdataset's key: the path up to the first dot of the file's name."""
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}{tail.split('.')[0]}"


def shard_names(folder: Path) -> tuple[str, ...]:
    """The shards of a folder, sorted; none where it holds folders of images. Raises DataError for compressed ones."""
    there = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)
    shards = tuple(path.name for path in there if path.suffix == ".tar")
    packed = [path for path in there if re.search(r"\.(tar\.\w+|tgz)$", path.name)]
    if packed and (shards or not any(path.is_dir() for path in there)):
        raise DataError(f"{packed[0]} is compressed: unpack it to a .tar, whose images are read where they lie")
    return shards


def indexed(folder: Path, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spans int64 (n, 3) of shard, offset and bytes, names (n,) and labels int64 (n,) of all samples.

    Raises DataError, which names shard and member, for a shard that is cut short, damaged or compressed, and for
    samples that are not one picture with one label.
    """
    spans, paths, labels = [], [], []
    for shard, name in enumerate(tqdm(files, desc="indexing shards", delay=2, leave=False)):
        for member, label in _samples(folder / name):
            spans.append((shard, member.offset_data, member.size))
            paths.append(member.name.removeprefix("./"))
            labels.append(label)
    if not paths:
        raise DataError(f"{folder}: no image; {_WANTED}")
    if len({*paths}) < len(paths):  # numbered anew in each shard
        paths = [f"{files[shard]}/{path}" for (shard, _, _), path in zip(spans, paths, strict=True)]
    return np.array(spans), np.array([os.fsencode(path) for path in paths]), np.array(labels)


def _samples(file: Path) -> list[Sample]:
    """The pictures of a shard with their labels, in the order of the pictures."""
    pictures: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, int] = {}
    others: dict[str, str] = {}  # pictures with more than an ending after the key
    for member, label in _members(file):
        key = key_of(member.name)
        ending = member.name[len(key) :].lower()
        if label is None and ending not in ENDINGS:
            others.setdefault(key, member.name)
            continue
        kind, known = (pictures, member) if label is None else (labels, label)
        if key in kind:
            what = "picture" if label is None else "label"
            raise DataError(f"{file}: {member.name} is the second {what} of key {key}; {_WANTED}")
        kind[key] = known
    for key in [*pictures, *labels, *others]:
        if key not in labels:
            name = pictures[key].name if key in pictures else others[key]
            raise DataError(f"{file}: {name} has no label {key}.cls beside it{_dots(others.get(key))}; {_WANTED}")
        if key not in pictures:
            raise DataError(f"{file}: the label {key}.cls has no picture beside it{_dots(others.get(key))}; {_WANTED}")
    return [(member, labels[key]) for key, member in pictures.items()]


def _dots(other: str | None) -> str:
    return f" (a key ends at the first dot, and {other} has another)" if other else ""


def _members(file: Path) -> Iterator[tuple[tarfile.TarInfo, int | None]]:
    """The pictures and labels of a shard, with what a label says. Raises DataError for a shard that is not whole."""
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                if not member.isfile() or _is_junk(member.name):
                    continue
                if member.name.lower().endswith(ENDINGS):
                    safe_name(member.name.removeprefix("./"), file)
                    yield member, None
                elif member.name == f"{key_of(member.name)}.cls":
                    yield member, _label(tar.extractfile(member).read(_BLOCK), member.name, file)
            _check_end(file, tar.offset)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        with open(file, "rb") as opened:
            start = opened.read(6)
        packed = next((name for magic, name in _PACKED.items() if start.startswith(magic)), None)
        reason = f"it is compressed by {packed}: unpack it first" if packed else str(error).split("\n")[0]
        raise DataError(f"{file} is damaged or is no shard of labelled images ({reason})") from None


def _is_junk(name: str) -> bool:
    """What macOS leaves beside each file, and other hidden ones."""
    parts = name.removeprefix("./").split("/")
    return parts[-1].startswith(".") or "__MACOSX" in parts


def _label(content: bytes, name: str, file: Path) -> int:
    if not re.fullmatch(rb"\s*\d{1,3}\s*", content):
        raise DataError(f"{file}: {name} holds {content[:20]!r}: it must be one of ImageNet-1K's labels, 0 to 999")
    return int(content)


def _check_end(file: Path, offset: int) -> None:
    """A whole archive ends in blocks of zeros, and nothing follows them."""
    with open(file, "rb") as opened:
        opened.seek(offset)
        rest = opened.read(_BLOCK)
        if len(rest) < _BLOCK:
            raise DataError(f"{file} is damaged: it is cut short after {offset:,} bytes, for it has no end of archive")
        while rest:
            if rest.strip(b"\0"):
                raise DataError(f"{file} is damaged: after {offset:,} bytes comes what is no member of it")
            rest = opened.read(1 << 20)
