"""Scenes as a COCO folder, written once when needed, so that the same code reads them and COCO itself."""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mae_lib.address import address
from mae_lib.transfer.coco import CocoSplit, write_coco
from mae_lib.transfer.drawn_scenes import DrawnScenes
from mae_lib.transfer.jitter import Target
from mae_lib.transfer.scenes import Scenes
from mae_lib.worlds.rendered import to_bytes

_CHUNK = 64


def scene_targets(scenes: Scenes | DrawnScenes, split: str, count: int) -> Iterator[tuple[Tensor, Target]]:
    """The first `count` scenes of a split, one by one: uint8 (3, H, W), and its boxes, labels and masks."""
    for start in range(0, count, _CHUNK):
        batch = scenes.sample(torch.arange(start, min(start + _CHUNK, count)), split)
        for i, image in enumerate(to_bytes(batch.images)):
            there = batch.present[i]
            found = {"boxes": batch.boxes[i][there], "labels": 1 + batch.categories[i][there]}
            yield image, found | {"masks": batch.masks[i][there].to(torch.uint8)}


def drawn(scenes: Scenes | DrawnScenes, counts: dict[str, int], folder: Path) -> dict[str, CocoSplit]:
    """The first scenes of each split ("train", "val"; how many by `counts`), drawn at the first call and kept.

    Of two simultaneous processes one draws and the other waits; a killed process leaves nothing behind.
    """
    key = address(scenes.address(), counts, digits=16)
    whole = folder / f"scenes-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"scenes-{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            unfinished = folder / f"scenes-{key}.part"
            shutil.rmtree(unfinished, ignore_errors=True)
            for split, count in counts.items():
                write_coco(unfinished, split, scene_targets(scenes, split, count), scenes.names)
            unfinished.rename(whole)
    return {split: CocoSplit(whole, split) for split in counts}
