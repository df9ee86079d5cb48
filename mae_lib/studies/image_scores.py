"""Scores per image next to the published means, `scores/<reader>.npz`, so that verdicts also cover other images.

Half precision, one array per section and metric: errors of single images are far larger than the rounding. Scores that
no claim uses (controls, single heads, cue strengths) and sets of more than 5,000 images, which contribute little to an
error, are left out. Each file names its reader and all sections that measured it, so it also records what is finished.
"""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mae_lib.studies import Reader, Scores
from mae_lib.studies.published_files import file_name

_MOST = 5000
_UNREAD = re.compile(r"^(another image|photographs): | at [\d.]+$| \(head \d+\)$")
_ABOUT = ("reader", "sections")


def image_scores_file(out: Path, reader: Reader, scores: Mapping[str, Scores]) -> tuple[Path, bytes]:
    """The file of a reader in the folder `out` and its new content: these sections and those that it already has."""
    path = out / "scores" / f"{file_name(reader)}.npz"
    held = {
        f"{section}/{metric}": np.asarray(values, np.float16)
        for section, of in scores.items()
        for metric, values in of.items()
        if len(values) <= _MOST and not _UNREAD.search(metric) and np.isfinite(values).all()
    }
    sections = set(scores)
    if path.is_file():
        with np.load(path, allow_pickle=False) as before:
            held = {key: before[key] for key in before.files if key not in _ABOUT} | held
            sections |= set(before["sections"].tolist())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, reader=np.array(json.dumps(reader)), sections=np.array(sorted(sections)), **held)
    return path, buffer.getvalue()


def measured(folder: Path) -> set[tuple[str, Reader]]:
    """Each section with each reader that it has measured, even if no score could be measured."""
    found = set()
    for path in (folder / "scores").glob("*.npz"):
        with np.load(path, allow_pickle=False) as held:
            reader = tuple(json.loads(str(held["reader"])))
            found |= {(section, reader) for section in held["sections"].tolist()}
    return found


def read_image_scores(folder: Path, section: str) -> dict[Reader, Scores]:
    """The scores of a section, by reader and metric; empty if a folder has none."""
    found: dict[Reader, Scores] = {}
    for path in sorted((folder / "scores").glob("*.npz")):
        with np.load(path, allow_pickle=False) as held:
            reader = tuple(json.loads(str(held["reader"])))
            for name in held.files:
                where, _, metric = name.partition("/")
                if where == section:
                    found.setdefault(reader, {})[metric] = held[name].astype(float)
    return found
