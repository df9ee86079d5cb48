"""What converters and drawing tools leave in COCO's files: read as it is meant, or refused with its name."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mae_lib.transfer.coco import CocoSplit
from mae_lib.transfer.coco_annotations import CocoError, _unpacked

SQUARE = [[5, 5, 25, 5, 25, 25, 5, 25]]


def content() -> dict:
    images = [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in (1, 2)]
    square = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [5, 5, 20, 20], "segmentation": SQUARE}
    return {"images": images, "annotations": [square], "categories": [{"id": 3, "name": "a"}, {"id": 7, "name": "b"}]}


def split(root: Path, change: Callable[[dict], object] = lambda c: None, name: str = "train", **more) -> CocoSplit:
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / f"{name}2017").mkdir(exist_ok=True)
    for file in ("1.png", "2.png"):
        Image.new("RGB", (60, 40)).save(root / f"{name}2017" / file)
    whole = content()
    change(whole)
    (root / "annotations" / f"instances_{name}2017.json").write_text(json.dumps(whole))
    return CocoSplit(root, name, **more)


def area(found: CocoSplit) -> list[int]:
    masks = found.target(0, crowds=True)["masks"]
    assert masks.shape[1:] == (40, 60)
    return masks.flatten(1).sum(1).tolist()


OUTLINES = [[], [[]], None, [[5, 5]], [[5, 5, 25, 25]], [*SQUARE, [30, 30]], [*SQUARE, [30, 30, 58, 38]], SQUARE[0]]
OUTLINES += [[SQUARE[0][:7]], [["5", "5", "25", "5", "25", "25"]], [[[5, 5], [25, 5], [25, 25]]], "text", 3, {}]
OUTLINES += [[[5, 5, bad, 5, 25, 25]] for bad in (float("nan"), float("inf"), 1e9, 10**400, True, None, -1e5)]
RUNS = [[2400, 1], [2399], [200, 20], [], [-1, 2401], [1.5, 2398.5], ["2400"], "zzzzzz", "", "\u00e9", None, 2400]
OUTLINES += [{"size": [40, 60], "counts": counts} for counts in RUNS]
OUTLINES += [{"size": size, "counts": [2400]} for size in ([60, 40], [20, 10], None, [40], ["40", "60"], [40, 60, 1])]


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: str(outline)[:50])
def test_an_outline_that_is_none_is_refused_with_annotation_and_image_before_anything_is_drawn(tmp_path, outline):
    with pytest.raises(CocoError, match=r"\Aannotation 1 of image 1 in .*json has an outline that [^\n]*\Z"):
        split(tmp_path, lambda c: c["annotations"][0].update(segmentation=outline))


def test_an_outline_beside_the_image_is_refused_and_one_over_its_edge_is_cut(tmp_path):
    with pytest.raises(CocoError, match="lies outside of the image, 60 x 40 pixels"):
        split(tmp_path, lambda c: c["annotations"][0].update(segmentation=[[61, 5, 80, 5, 80, 25]]))
    over = split(tmp_path, lambda c: c["annotations"][0].update(segmentation=[[-5, -5, 25, -5, 25, 25, -5, 25]]))
    assert area(over) == [625]


@pytest.mark.parametrize(
    ("outline", "pixels"),
    [
        (SQUARE, 400),
        ([*SQUARE, [40, 10, 50, 10, 50, 20, 40, 20]], 500),
        ([[5, 5, 15, 5, 25, 5]], 0),  # three points on a line enclose nothing
        ({"size": [40, 60], "counts": [2400]}, 0),
        ({"size": [40.0, 60.0], "counts": [200.0, 20, 2180]}, 20),
    ],
)
def test_an_outline_of_the_format_is_drawn_at_the_images_size(tmp_path, outline, pixels):
    assert area(split(tmp_path, lambda c: c["annotations"][0].update(segmentation=outline))) == [pixels]


def test_compressed_run_lengths_are_unpacked_as_the_library_packs_them():
    mask_api = pytest.importorskip("faster_coco_eval.core.mask")
    generator = np.random.default_rng(0)
    for share in (0.0, 0.01, 0.5, 1.0):
        mask = np.asfortranarray(generator.random((40, 61)) < share).astype(np.uint8)
        flat = mask.flatten("F")
        ends = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
        runs = np.diff([0, *ends, flat.size]).tolist()
        packed = mask_api.encode(np.asfortranarray(mask))["counts"]
        assert _unpacked(packed.decode() if isinstance(packed, bytes) else packed) == runs


@pytest.mark.parametrize("field", ["image_id", "category_id", "iscrowd"])
@pytest.mark.parametrize("value", ["1", None, 1.5, [1], float("nan"), float("inf")])
def test_whole_numbers_of_an_annotation_are_none_of_text_null_or_fractions(tmp_path, field, value):
    with pytest.raises(CocoError, match=rf"\Aannotation 1 of .* has {field} [^\n]*\Z"):
        split(tmp_path, lambda c: c["annotations"][0].update({field: value}))


@pytest.mark.parametrize("where", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", ["1", None, 1.5, True])
def test_an_id_that_is_no_whole_number_is_refused_with_its_place(tmp_path, where, value):
    with pytest.raises(CocoError, match=r"number 1 of .* has the id .*: a whole number is needed"):
        split(tmp_path, lambda c: c[where][0].update(id=value))
    with pytest.raises(CocoError, match=r"number 1 of .* has no id: a whole number is needed"):
        split(tmp_path, lambda c: c[where][0].pop("id"))


@pytest.mark.parametrize("where", ["images", "annotations", "categories"])
def test_an_id_that_stands_twice_is_refused(tmp_path, where):
    with pytest.raises(CocoError, match="twice: ids must differ"):
        split(tmp_path, lambda c: c[where].append(dict(c[where][0])))


def test_two_images_of_one_file_are_refused(tmp_path):
    with pytest.raises(CocoError, match=r"image 2 of .* has the file '1.png', which is image 1's"):
        split(tmp_path, lambda c: c["images"][1].update(file_name="1.png"))


@pytest.mark.parametrize("empty", ["images", "categories"])
def test_nothing_listed_is_refused(tmp_path, empty):
    with pytest.raises(CocoError, match=f"lists no {empty}"):
        split(tmp_path, lambda c: c.update({"annotations": [], empty: []}))


@pytest.mark.parametrize("name", [None, 3, "", "  "])
def test_a_category_needs_a_name(tmp_path, name):
    with pytest.raises(CocoError, match=r"category 7 of .* has the name .*: it must be a text"):
        split(tmp_path, lambda c: c["categories"][1].update(name=name))


@pytest.mark.parametrize("entry", [None, [1], "text"])
def test_lists_hold_mappings(tmp_path, entry):
    for where in ("images", "annotations", "categories"):
        with pytest.raises(CocoError, match=f"{where} must be a list of mappings"):
            split(tmp_path, lambda c, where=where: c[where].append(entry))
        with pytest.raises(CocoError, match=f"{where} must be a list of mappings"):
            split(tmp_path, lambda c, where=where: c.update({where: entry and {"0": entry}}))


def test_json_has_one_kind_of_number(tmp_path):
    def as_floats(c: dict) -> None:
        for entry in c["images"] + c["categories"] + c["annotations"]:
            entry |= {name: float(value) for name, value in entry.items() if isinstance(value, int)}
        c["annotations"][0]["iscrowd"] = 0.0

    found = split(tmp_path, as_floats).target(0, crowds=True)
    assert found["labels"].tolist() == [1] and found["iscrowd"].tolist() == [0]
    assert split(tmp_path, lambda c: c["annotations"][0].update(iscrowd=True)).target(0)["boxes"].shape == (0, 4)


BOXES = [[float("nan"), 5, 5, 5], [5, 5, float("inf"), 5], [5, 5, 1e12, 5], [5, 5, 20, "20"], [5, 5, True, 5]]
BOXES += [[5, 5, 20], None, [70, 5, 5, 5], [-30, 5, 20, 5], [5, 45, 5, 5], [0.5, 5, 10**400, 5], [[5, 5, 20, 20]]]


@pytest.mark.parametrize("box", [*BOXES, [5, 5, 200, 5]])
def test_a_box_that_is_none_or_lies_elsewhere_is_refused(tmp_path, box):
    with pytest.raises(CocoError, match=r"annotation 1 of image 1 in .* has the box"):
        split(tmp_path, lambda c: c["annotations"][0].update(bbox=box))


@pytest.mark.parametrize("sides", [{"width": 0}, {"height": 2.5}, {"width": None}, {"width": 10**6, "height": 10**6}])
def test_an_image_of_an_impossible_size_is_refused(tmp_path, sides):
    with pytest.raises(CocoError, match=r"image 1 of .* (whole numbers above 0|too large)"):
        split(tmp_path, lambda c: c["images"][0].update(sides))


def test_boxes_without_an_inside_are_left_out_with_their_outlines(tmp_path):
    found = split(tmp_path, lambda c: c["annotations"][0].update(bbox=[5, 5, 0, 9], segmentation=[]))
    assert len(found.target(0)["labels"]) == 0


def test_two_splits_have_one_numbering_which_is_that_of_training(tmp_path):
    train = split(tmp_path)

    def fewer(c: dict) -> None:
        c["categories"] = [{"id": 7, "name": "b"}]
        c["annotations"][0]["category_id"] = 7

    val = split(tmp_path, fewer, "val", like=train)
    assert val.target(0)["labels"].tolist() == [2] and val.categories == train.categories
    assert split(tmp_path, fewer, "val").target(0)["labels"].tolist() == [1]  # alone it numbers its own


@pytest.mark.parametrize(
    ("categories", "says"),
    [
        ([{"id": 3, "name": "b"}, {"id": 7, "name": "a"}], "category 3 'b', which in .* is 'a'"),
        ([{"id": 3, "name": "a"}, {"id": 8, "name": "c"}], "category 8 'c', which in .* is not listed"),
    ],
)
def test_splits_that_number_or_name_otherwise_are_refused(tmp_path, categories, says):
    with pytest.raises(CocoError, match=says):
        split(tmp_path, lambda c: c.update(categories=categories), "val", like=split(tmp_path))
