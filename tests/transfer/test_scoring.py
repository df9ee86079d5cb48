"""Average precision is COCO's: of the truth itself, of nothing, of noise; and contributions are its jackknife."""

import numpy as np
import pytest
import torch

from mae_lib.transfer.coco import CocoSplit
from mae_lib.transfer.model import mask_rcnn
from mae_lib.transfer.scoring import _matches, _precision, _summary, average_precision, detections, score


def truth(data, crowds=True):
    return [data.target(index, crowds) for index in range(len(data))]


def perfect(there):
    return {**there, "scores": torch.ones(len(there["labels"])), "masks": there["masks"].bool()}


def noisy(data, seed: int = 0):
    """Objects moved a little, some missed, some of another category, some where nothing is."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for there in truth(data, crowds=False):
        twice = {name: torch.cat([value, value]) for name, value in there.items()}
        count = len(twice["labels"])
        shift = torch.randint(-2, 3, (count, 2), generator=generator)
        masks = [mask.roll((int(y), int(x)), (0, 1)) for mask, (x, y) in zip(twice["masks"], shift)]
        labels = torch.where(torch.rand(count, generator=generator) < 0.3, 1, twice["labels"])
        one = {
            "boxes": twice["boxes"] + shift.repeat(1, 2),
            "labels": labels,
            "scores": torch.rand(count, generator=generator),
        }
        one["masks"] = torch.stack(masks).bool() if masks else twice["masks"].bool()
        kept = torch.rand(count, generator=generator) < 0.8
        found.append({name: value[kept] for name, value in one.items()})
    return found


def nothing(there):
    return {name: value[:0] for name, value in perfect(there).items()}


@pytest.mark.parametrize("which", ["scenes", "coco"])
def test_the_truth_itself_scores_100_and_nothing_scores_0(which, request):
    given = request.getfixturevalue(which)
    data = given["val"] if which == "scenes" else CocoSplit(given, "val")
    found = average_precision([perfect(there) for there in truth(data, crowds=False)], truth(data))
    assert set(found.values) == {"AP box", "AP mask", "AP50 box", "AP50 mask"}
    assert all(value == pytest.approx(100) for value in found.values.values())
    empty = average_precision([nothing(there) for there in truth(data)], truth(data))
    assert all(value == 0 for value in empty.values.values())
    assert all((parts == 0).all() for parts in empty.contributions.values())


def test_what_lies_in_a_crowd_costs_nothing(coco):
    data = CocoSplit(coco, "val")
    there = truth(data)
    with_crowd = [perfect(one) for one in there]  # the crowd too is given as a detection
    assert average_precision(with_crowd, there).values["AP mask"] == pytest.approx(100)
    ignorant = [{**one, "iscrowd": torch.zeros_like(one["iscrowd"])} for one in there]
    without = [perfect(one) for one in truth(data, crowds=False)]
    assert average_precision(without, ignorant).values["AP mask"] < 90


@pytest.mark.parametrize("seed", [0, 1])
def test_precision_by_our_matching_is_the_librarys(scenes, seed):
    for data in scenes.values():
        found, there = noisy(data, seed), truth(data)
        summary = _summary(found, there)
        for name in ("bbox", "segm"):
            ours = np.array([_precision(one) for one in _matches(summary[f"{name}_ious"], found, there)])
            assert ours.mean() == pytest.approx(float(summary[f"{name}_map"]), abs=1e-6)
            assert ours[:, 0].mean() == pytest.approx(float(summary[f"{name}_map_50"]), abs=1e-6)
            assert 0 < ours.mean() < 0.95


def test_contributions_are_the_jackknife_by_scoring_without_each_image(scenes):
    data = scenes["train"]
    found, there = noisy(data), truth(data)
    whole = average_precision(found, there)
    n = len(there)
    by_hand = [
        n * whole.values["AP box"]
        - (n - 1) * average_precision(found[:i] + found[i + 1 :], there[:i] + there[i + 1 :]).values["AP box"]
        for i in range(n)
    ]
    parts = whole.contributions["AP box"]
    assert parts.mean() == pytest.approx(whole.values["AP box"])
    np.testing.assert_allclose(parts - parts.mean(), np.array(by_hand) - np.mean(by_hand), atol=1e-3)


def test_no_object_anywhere_has_no_precision(coco):
    there = truth(CocoSplit(coco, "val"))[3:]
    found = average_precision([nothing(one) for one in there], there)
    assert all(np.isnan(value) for value in found.values.values())
    with pytest.raises(ValueError, match="1 images with detections, 2 with truth"):
        average_precision([nothing(there[0])], there * 2)


def test_a_detector_is_scored_on_all_images_one_by_one(mae, config, scenes):
    torch.manual_seed(0)
    model = mask_rcnn(mae, 32, 4, config.sizes).eval()
    model.roi_heads.score_thresh = 0.0
    data = scenes["val"]
    found = list(detections(model, [data.image(index) for index in range(len(data))]))
    assert all(one["masks"].shape[1:] == (32, 32) and one["masks"].dtype == torch.bool for one in found)
    direct = average_precision(found, truth(data))
    assert score(model, data).values == direct.values
