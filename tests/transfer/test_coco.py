"""COCO's format is read and written, and what is wrong with it is named."""

import json
import shutil

import pytest
import torch

from mae_lib.data.files import Unreadable
from mae_lib.transfer.coco import VARIABLE, CocoSplit, coco_folder, write_coco
from mae_lib.transfer.coco_annotations import CocoError


def test_objects_are_read_with_their_boxes_labels_and_masks(coco):
    data = CocoSplit(coco, "train")
    assert data.ids == [9, 25, 30, 34] and list(data.categories.values()) == ["person", "bottle", "toothbrush"]
    target = data.target(0)
    assert target["boxes"].tolist() == [[5, 6, 15, 16], [20, 10, 28, 18]] and target["labels"].tolist() == [1, 3]
    assert target["masks"].shape == (2, 30, 40) and target["masks"][0, 6:16, 5:15].all()
    assert target["masks"].sum((1, 2)).tolist() == [100, 64]
    assert data.image(1).shape == (3, 50, 30) and data.image(1).dtype == torch.uint8


def test_crowds_are_for_scoring_only_and_degenerate_boxes_for_nothing(coco):
    data = CocoSplit(coco, "val")
    assert data.target(2)["labels"].tolist() == [1]
    both = data.target(2, crowds=True)
    assert both["iscrowd"].tolist() == [0, 1] and both["masks"][1].sum() == 64 * 12
    assert both["masks"][1, :, 10:22].all()


def test_an_image_without_objects_is_kept(coco):
    target = CocoSplit(coco, "train").target(3)
    assert [len(value) for value in target.values()] == [0, 0, 0, 0] and target["masks"].shape == (0, 20, 20)
    assert target["boxes"].shape == (0, 4)


def test_the_first_images_by_id(coco):
    assert CocoSplit(coco, "train", 2).ids == [9, 25]
    assert CocoSplit(coco, "train", 2).key != CocoSplit(coco, "train").key
    with pytest.raises(CocoError, match="has 4 images, and 5 are asked for"):
        CocoSplit(coco, "train", 5)


def test_what_is_written_is_read_back(tmp_path):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (3, 12, 12), generator=generator, dtype=torch.uint8)
    masks = torch.zeros(2, 12, 12, dtype=torch.uint8)
    masks[0, 2:5, 3:9], masks[1, 7:, 7:] = 1, 1
    masks[0, 3, 4] = 0  # a hole
    there = {"boxes": torch.tensor([[3.0, 2, 9, 5], [7, 7, 12, 12]]), "labels": torch.tensor([2, 1]), "masks": masks}
    nothing = {name: value[:0] for name, value in there.items()}
    write_coco(tmp_path, "val", [(image, there), (image, nothing)], ["a", "b"])
    data = CocoSplit(tmp_path, "val")
    assert torch.equal(data.image(0), image) and len(data.target(1)["labels"]) == 0
    assert all(torch.equal(data.target(0)[name], value) for name, value in there.items())


def test_a_missing_or_wrong_folder_says_what_was_looked_for_and_found(coco, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(CocoError, match=f"set {VARIABLE} to the one that holds train2017"):
        coco_folder()
    monkeypatch.setenv(VARIABLE, str(coco))
    assert coco_folder() == coco and coco_folder(coco / "other") == coco / "other"
    with pytest.raises(CocoError, match=r"nowhere does not exist: .* holds annotations, train2017, val2017"):
        CocoSplit(coco / "nowhere", "train")
    (coco / "val2017").rename(coco / "val2014")
    with pytest.raises(CocoError, match=r"val2017 does not exist: .* holds annotations, train2017, val2014"):
        CocoSplit(coco, "val")
    with pytest.raises(CocoError, match="split 'test' is unknown"):
        CocoSplit(coco, "test")


def spoil(coco, change) -> None:
    path = coco / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bbox", [1, 2, 3], r"annotation 102 of .*json has the box \[1, 2, 3\]"),
        ("bbox", [1, 2, -3, 4], r"annotation 102 of .*must be x, y, width and height"),
        ("category_id", 12, r"annotation 102 of .* is of category 12: the ids are 1, 44, 90"),
        ("image_id", 7, r"annotation 102 of .* belongs to image 7, which is not listed"),
    ],
)
def test_a_broken_annotation_is_named_before_anything_runs(coco, field, value, message):
    spoil(coco, lambda content: content["annotations"][2].update({field: value}))
    with pytest.raises(CocoError, match=message):
        CocoSplit(coco, "train")


@pytest.mark.parametrize("outline", [[["a", "b"]], {"size": [50, 30]}, 3])
def test_an_outline_that_cannot_be_drawn_is_named(coco, outline):
    spoil(coco, lambda content: content["annotations"][2].update(segmentation=outline))
    with pytest.raises(CocoError, match=r"annotation 102 of .* has an outline that cannot be drawn"):
        CocoSplit(coco, "train").target(1)


def test_a_file_that_is_no_annotations_is_named(coco):
    path = coco / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(CocoError, match=r"train2017\.json is not JSON, or is cut short"):
        CocoSplit(coco, "train")
    path.write_text('{"images": []}')
    with pytest.raises(CocoError, match="lacks annotations, categories"):
        CocoSplit(coco, "train")


def test_a_broken_image_is_named(coco):
    image = coco / "train2017" / "000000000025.jpg"
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(Unreadable, match=r"(?i)truncated"):
        CocoSplit(coco, "train").image(1)
    image.unlink()
    with pytest.raises(Unreadable, match=r"000000000025\.jpg is listed in .*train2017\.json: No such file"):
        CocoSplit(coco, "train").image(1)
    image.write_bytes((coco / "train2017" / "000000000034.jpg").read_bytes())
    with pytest.raises(Unreadable, match=r"000000000025\.jpg has 20 x 20 pixels, and .* says 30 x 50"):
        CocoSplit(coco, "train").image(1)
    data = CocoSplit(coco, "train")
    shutil.rmtree(coco / "train2017")
    with pytest.raises(CocoError, match="train2017 has vanished"):
        data.image(1)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("file_name", "../outside.jpg", "must lie in"),
        ("file_name", "/etc/hostname", "must lie in"),
        ("file_name", 3, "must lie in"),
        ("height", "20", "whole numbers above 0"),
        ("width", 0, "whole numbers above 0"),
    ],
)
def test_an_image_that_lies_elsewhere_or_has_no_size_is_named(coco, field, value, message):
    path = coco / "annotations" / "instances_val2017.json"
    whole = json.loads(path.read_text())
    whole["images"][0][field] = value
    path.write_text(json.dumps(whole))
    with pytest.raises(CocoError, match=rf"image {whole['images'][0]['id']} of .*{message}"):
        CocoSplit(coco, "val")
