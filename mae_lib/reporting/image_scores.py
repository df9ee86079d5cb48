"""Scores image by image beside the published means, `images.npz`, so that verdicts reach over other images too.

Half precision, one array for each reader and metric: errors of single images are far larger than its rounding. What no
claim reads (controls, single heads, cue strengths) and sets of more than 5,000 images, whose part of an error is small,
are left out.
"""

import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mae_lib.evaluation.sections import Reader, Scores
from mae_lib.training.checkpoints import write_files

FILE = "images.npz"
_MOST = 5000
_UNREAD = re.compile(r"^(another image|photographs): | at [\d.]+$| \(head \d+\)$")


def write_image_scores(out: Path, found: Mapping[str, Mapping[Reader, Scores]]) -> None:
    """Keep the scores of sections (name -> reader -> metric -> one number an image) in a folder."""
    arrays = {
        "/".join((section, ",".join(map(str, reader)), metric)): np.asarray(values, np.float16)
        for section, scores in found.items()
        for reader, one in scores.items()
        for metric, values in one.items()
        if len(values) <= _MOST and not _UNREAD.search(metric) and np.isfinite(values).all()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_files({out / FILE: buffer.getvalue()})


def read_image_scores(folder: Path, section: str) -> dict[Reader, Scores]:
    """The scores of a section, by reader and metric; empty where a folder has none."""
    if not (folder / FILE).is_file():
        return {}
    found: dict[Reader, Scores] = {}
    with np.load(folder / FILE, allow_pickle=False) as held:
        for name in held.files:
            where, who, metric = name.split("/", 2)
            if where == section:
                found.setdefault(_reader(who.split(",")), {})[metric] = held[name].astype(float)
    return found


def _reader(parts: list[str]) -> Reader:
    if len(parts) == 3:
        return (float(parts[0]), int(parts[1]), int(parts[2]))
    return (parts[0], int(parts[1])) if len(parts) == 2 else (parts[0],)
