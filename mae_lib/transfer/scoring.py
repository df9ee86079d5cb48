"""Average precision of boxes and masks by COCO's rules, and each image's contribution to it.

The numbers are torchmetrics' with faster-coco-eval. AP is not a mean over images: precision depends on the
ranking of all detections. For intervals over images each image has a *contribution*, the jackknife's pseudo-value
(Tukey 1958): n AP - (n - 1) AP without it. Contributions average to AP, so a bootstrap over them, paired image by
image, compares two detectors. Leaving an image out does not change the matches of the others, so it costs only a sorted
sum.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mae_lib.data.files import Broken, Unreadable
from mae_lib.transfer.coco import CocoSplit
from mae_lib.transfer.coco_annotations import CocoError
from mae_lib.transfer.jitter import Target

KINDS = {"box": "bbox", "mask": "segm"}
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of the overlap (IoU)
_RECALLS = np.linspace(0, 1, 101)
_MOST = 100  # detections that count, per image


@torch.no_grad()
def detections(model: nn.Module, images: Iterable[Tensor]) -> Iterator[Target]:
    """The detections of a detector in eval mode in images, uint8 (3, H, W) each, one at a time, on the CPU.

    boxes (N, 4), labels (N,) from 1, scores (N,) in [0, 1], masks (N, H, W) bool.
    """
    device = next(model.parameters()).device
    for image in images:
        found = model([image.to(device).float().div(255)])[0]
        yield {name: (v[:, 0] > 0.5 if name == "masks" else v).cpu() for name, v in found.items()}


@dataclass(frozen=True)
class AveragePrecision:
    """AP, the mean over ten thresholds of overlap, and AP50, at 0.5 only, in percent; `NaN` if there is no object.

    `contributions`: one per image, float64 (images,), under the same names; they average to the AP of that name.
    """

    values: dict[str, float]  # "AP box", "AP mask", "AP50 box", "AP50 mask"
    contributions: dict[str, np.ndarray]


def average_precision(found: Sequence[Target], truth: Sequence[Target]) -> AveragePrecision:
    """Score detections, as from `detections`, against the truth, as from `CocoSplit.target` with crowds.

    Raises ValueError for lists of different lengths or without an image.
    """
    if len(found) != len(truth) or not truth:
        raise ValueError(f"{len(found)} images with detections, {len(truth)} with truth: give one each, at least one")
    summary = _summary(found, truth)
    values, contributions = {}, {}
    for kind, name in KINDS.items():
        matches = _matches(summary[f"{name}_ious"], found, truth)
        every = _jackknife(matches, len(truth))  # (images, thresholds)
        for label, total, parts in (
            ("AP", summary[f"{name}_map"], every.mean(1)),
            ("AP50", summary[f"{name}_map_50"], every[:, 0]),
        ):
            whole = 100 * float(total) if float(total) >= 0 else float("nan")
            values[f"{label} {kind}"] = whole
            contributions[f"{label} {kind}"] = whole + 100 * (parts - parts.mean())
    return AveragePrecision(values, contributions)


def score(model: nn.Module, data: CocoSplit, max_broken: float = 0.0) -> AveragePrecision:
    """Score a detector on the images of a split that can be read.

    Raises DataError if more than a share `max_broken` cannot be read, or if annotations are broken.
    """
    broken, seen = Broken(data, max_broken), []

    def images() -> Iterator[Tensor]:
        for index in range(len(data)):
            try:
                image = data.image(index)
            except Unreadable as error:
                broken.add([(index, str(error))])
            else:
                seen.append(index)
                yield image

    found = list(detections(model, images()))
    return average_precision(found, [data.target(index, crowds=True) for index in seen])


def _summary(found: Sequence[Target], truth: Sequence[Target]) -> dict[str, Any]:
    """torchmetrics' numbers, with the overlaps of every image and category."""
    try:
        from torchmetrics.detection import MeanAveragePrecision
    except ModuleNotFoundError:
        raise CocoError("detection needs faster-coco-eval and torchmetrics: install mae_lib[detection]") from None
    metric = MeanAveragePrecision(
        iou_type=tuple(KINDS.values()),
        iou_thresholds=THRESHOLDS.tolist(),  # COCO's in double precision; the library's defaults are rounded
        rec_thresholds=_RECALLS.tolist(),
        extended_summary=True,
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    for one, there in zip(found, truth):
        metric.update([one | {"masks": one["masks"].bool()}], [there | {"masks": there["masks"].bool()}])
    return metric.compute()


@dataclass(frozen=True)
class _Matches:
    """The detections of one category over all images, most confident first, and the number of objects in each image."""

    image: np.ndarray  # (D,) int64
    hit: np.ndarray  # (thresholds, D) bool: matched with an object
    counts: np.ndarray  # (thresholds, D) bool: neither of these for one matched with a crowd
    objects: np.ndarray  # (images,) int64


def _matches(ious: dict[tuple[int, int], Any], found: Sequence[Target], truth: Sequence[Target]) -> list[_Matches]:
    """The matches by category, from the overlaps (detections by score, objects) of each image."""
    labels = sorted({int(label) for there in truth for label in there["labels"]})
    scores = [one["scores"].numpy() for one in found]
    named = [one["labels"].numpy() for one in found]
    result = []
    for label in labels:
        objects, rows = np.zeros(len(truth), dtype=np.int64), []
        for number, there in enumerate(truth):
            crowd = there["iscrowd"][there["labels"] == label].numpy().astype(bool)
            objects[number] = (~crowd).sum()
            mine = np.sort(scores[number][named[number] == label])[::-1][:_MOST]
            if len(mine):
                overlaps = np.asarray(ious[number, label], dtype=float).reshape(len(mine), -1) if len(crowd) else None
                hit, ignored = _matched(overlaps, crowd, len(mine))
                rows.append((np.full(len(mine), number), mine, hit, ignored))
        if not objects.sum():
            continue
        if not rows:
            rows = [(np.zeros(0, int), np.zeros(0), np.zeros((len(THRESHOLDS), 0), bool), np.zeros((10, 0), bool))]
        image, sure, hit, ignored = (np.concatenate(parts, axis=-1) for parts in zip(*rows))
        order = np.argsort(-sure, kind="stable")
        result.append(_Matches(image[order], hit[:, order], ~ignored[:, order], objects))
    return result


def _matched(overlaps: np.ndarray | None, crowd: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """COCO's matching: in order of score each detection takes the remaining object that it overlaps most, else a crowd.

    Returns which are matched with an object, and which with a crowd, bool (thresholds, count) each.
    """
    hit, ignored = np.zeros((2, len(THRESHOLDS), count), dtype=bool)
    if overlaps is None:
        return hit, ignored
    for t, threshold in enumerate(THRESHOLDS):
        left = ~crowd
        for d in range(count):
            near = np.where(left, overlaps[d], -1.0)
            # Of two with equal overlap, COCO's loop keeps the later.
            best = len(near) - 1 - int(near[::-1].argmax())
            if near[best] >= min(threshold, 1 - 1e-10):
                hit[t, d], left[best] = True, False
            else:
                ignored[t, d] = bool((overlaps[d][crowd] >= threshold).any())
    return hit, ignored


def _precision(one: _Matches, without: int | None = None) -> np.ndarray:
    """Average precision of one category at each threshold, (thresholds,), leaving out an image; NaN without objects."""
    objects = one.objects.sum() - (0 if without is None else one.objects[without])
    if not objects:
        return np.full(len(THRESHOLDS), np.nan)
    counts = one.counts if without is None else one.counts & (one.image != without)
    hits = np.cumsum(one.hit & counts, axis=1)
    total = np.cumsum(counts, axis=1)
    if not total.shape[1]:
        return np.zeros(len(THRESHOLDS))
    precision = hits / np.maximum(total, 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)
    reached = [padded[t, np.searchsorted(hits[t] / objects, _RECALLS)].mean() for t in range(len(precision))]
    return np.array(reached)


def _jackknife(matches: list[_Matches], images: int) -> np.ndarray:
    """Pseudo-values (images, thresholds) of the mean over categories."""
    whole = np.array([_precision(one) for one in matches])  # (categories, thresholds)
    if not matches:
        return np.full((images, len(THRESHOLDS)), np.nan)
    pseudo = np.empty((images, len(THRESHOLDS)))
    holders = [set(one.image.tolist()) | set(np.flatnonzero(one.objects).tolist()) for one in matches]
    for number in range(images):
        without = whole.copy()
        for k, one in enumerate(matches):
            if number in holders[k]:
                without[k] = _precision(one, number)
        pseudo[number] = images * whole.mean(0) - (images - 1) * np.nanmean(without, axis=0)
    return pseudo
