"""A pack of drawings: the same concepts by eight designers, as one array and its metadata.

`drawings.npy` is uint8 (designers, concepts, side, side, 4): red, green, blue times opacity, and opacity.
`drawings.json` lists each designer's origin and licence, each concept's name and group, and the digest of all this.
`python -m mae_lib drawings` builds it; see `drawing_builder.py`.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mae_lib.folders import runs_folder

HANDS = (
    *("openmoji", "openmoji-black", "twemoji", "noto"),
    *("fluent-flat", "fluent-modern", "fluent-3d", "fluent-high-contrast"),
)
SIDE = 72  # pixels
_BUILD = "python -m mae_lib drawings builds it"


@dataclass(frozen=True)
class Pack:
    """An opened pack; `concepts` are dicts of hexcode, name, group and subgroup, in the order of the array."""

    drawings: np.ndarray
    digest: str
    concepts: tuple[dict[str, str], ...]


def pack_folder() -> Path:
    """Where the pack lies: `$MAE_LIB_DRAWINGS`, else `drawings/` beside the runs."""
    named = os.environ.get("MAE_LIB_DRAWINGS")
    return Path(named).expanduser().resolve() if named else runs_folder() / "drawings"


def digest_of(drawings: np.ndarray, about: dict[str, Any]) -> str:
    """Sixteen hexadecimal digits that change with any pixel, concept or designer."""
    known = json.dumps([about["hands"], about["concepts"]], sort_keys=True).encode()
    return hashlib.sha256(known + np.ascontiguousarray(drawings).tobytes()).hexdigest()[:16]


def open_pack(folder: Path | None = None) -> Pack:
    """The pack in `folder`, by default in `pack_folder()`, memory-mapped.

    Raises FileNotFoundError where there is none, ValueError for one that is damaged.
    """
    folder = pack_folder() if folder is None else folder
    if not (folder / "drawings.json").is_file():
        raise FileNotFoundError(f"there is no pack of drawings in {folder}: {_BUILD}")
    return _opened(folder, (folder / "drawings.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _opened(folder: Path, _written: int) -> Pack:
    try:
        about = json.loads((folder / "drawings.json").read_text())
        drawings = np.load(folder / "drawings.npy", mmap_mode="r", allow_pickle=False)
        digest, concepts = about["digest"], tuple(about["concepts"])
        names = tuple(hand["name"] for hand in about["hands"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise ValueError(f"the pack of drawings in {folder} is damaged ({error}): remove it, {_BUILD}") from None
    wanted = (len(HANDS), len(concepts), *drawings.shape[2:4], 4)
    if names != HANDS or drawings.shape != wanted or drawings.dtype != np.uint8:
        raise ValueError(f"the pack of drawings in {folder} does not hold what its JSON says: remove it, {_BUILD}")
    return Pack(drawings, digest, concepts)
