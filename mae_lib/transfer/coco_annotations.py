"""An annotation file in COCO's format, checked completely before any work starts.

Converters and drawing tools leave invalid entries in such files, which the compiled decoder misinterprets, or which
exhaust its memory. So ids, sizes, boxes and outlines are checked here, and errors name the image. JSON has one kind of
number: 3.0 is the integer 3. Text, `null` and (except for `iscrowd`) `true` are not numbers.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from mae_lib.data.files import DataError

_MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)  # Pillow also refuses larger images


class CocoError(DataError):
    """Data that is missing or broken; the message names the file, image or annotation and what is expected."""


@dataclass(frozen=True)
class Annotations:
    """The content of a file: images and category names by id, and the objects of each image, in the file's order."""

    images: dict[int, dict[str, Any]]
    categories: dict[int, str]
    objects: dict[int, list[dict[str, Any]]]


def read_annotations(file: Path) -> Annotations:
    """The content of a file. Raises CocoError, which names the entry, for one that is not in COCO's format."""
    content = _content(file)
    images = _by_id(content["images"], "image", file)
    for number, about in images.items():
        _check_image(about, f"image {number} of {file}")
    categories = _by_id(content["categories"], "category", file)
    for number, about in categories.items():
        if not isinstance(about.get("name"), str) or not about["name"].strip():
            raise CocoError(f"category {number} of {file} has the name {about.get('name')!r}: it must be a text")
    objects: dict[int, list[dict[str, Any]]] = {number: [] for number in images}
    for number, about in _by_id(content["annotations"], "annotation", file).items():
        _check_ids(about, f"annotation {number} of {file}", images, categories)
        name = f"annotation {number} of image {about['image_id']} in {file}"
        _check_object(about, name, images[about["image_id"]])
        objects[about["image_id"]].append(about)
    return Annotations(images, {number: categories[number]["name"] for number in sorted(categories)}, objects)


def _content(file: Path) -> dict[str, list[dict]]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CocoError(f"{file} is not JSON, or is cut short ({error})") from None
    wanted = ("images", "annotations", "categories")
    if not isinstance(content, dict) or (missing := sorted({*wanted} - {*content})):
        lacking = ", ".join(missing) if isinstance(content, dict) else "everything"
        raise CocoError(f"{file} holds no detection data: it lacks {lacking}")
    for name in wanted:
        if not isinstance(content[name], list) or not all(isinstance(entry, dict) for entry in content[name]):
            raise CocoError(f"{file} holds no detection data: {name} must be a list of mappings")
    for name in ("images", "categories"):
        if not content[name]:
            raise CocoError(f"{file} lists no {name}: at least one is needed")
    return content


def _by_id(entries: list[dict], what: str, file: Path) -> dict[int, dict]:
    """The entries by their ids, which are unique integers. Raises CocoError for any other id."""
    found: dict[int, dict] = {}
    for place, entry in enumerate(entries):
        number = whole(entry.get("id"))
        if number is None:
            given = f"has the id {entry['id']!r}" if "id" in entry else "has no id"
            raise CocoError(f"{what} number {place + 1} of {file} {given}: a whole number is needed")
        if number in found:
            raise CocoError(f"{file} lists {what} {number} twice: ids must differ")
        found[number] = entry
    return found


def whole(value: Any) -> int | None:
    """The value as an integer if JSON writes one, such as 3 or 3.0, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


def _settle(about: dict, field: str, name: str, right: Callable[[int], bool], wanted: str) -> None:
    """Replace a field by its integer value. Raises CocoError for any other value."""
    number = whole(about.get(field))
    if number is None or not right(number):
        given = f"{field} {about[field]!r}" if field in about else f"no {field}"
        raise CocoError(f"{name} has {given}: {wanted}")
    about[field] = number


def _check_image(about: dict, name: str) -> None:
    for side in ("width", "height"):
        _settle(about, side, name, lambda number: number > 0, "whole numbers above 0 are needed")
    if about["width"] * about["height"] > _MOST_PIXELS:
        raise CocoError(f"{name} is of {about['width']} x {about['height']} pixels: that is too large to be one")


def _check_ids(about: dict, name: str, images: dict, categories: dict) -> None:
    for field in ("image_id", "category_id", "bbox", "segmentation"):
        if field not in about:
            raise CocoError(f"{name} has no {field}")
    for field in ("image_id", "category_id"):
        _settle(about, field, name, lambda number: True, "a whole number is needed")
    if about["image_id"] not in images:
        raise CocoError(f"{name} belongs to image {about['image_id']}, which is not listed")
    if about["category_id"] not in categories:
        known = ", ".join(map(str, sorted(categories)[:8]))
        raise CocoError(f"{name} is of category {about['category_id']}: the ids are {known}, ...")


def _check_object(about: dict, name: str, image: dict) -> None:
    """Check iscrowd, box and outline; coordinates outside the image by more than its side are errors."""
    width, height = image["width"], image["height"]
    crowd = about.get("iscrowd", 0)
    about["iscrowd"] = int(crowd) if isinstance(crowd, bool) else crowd
    _settle(about, "iscrowd", name, lambda number: number in (0, 1), "it must be 0 or 1")
    box = about["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_number, box)) or min(box[2:]) < 0:
        raise CocoError(f"{name} has the box {str(box)[:80]}: it must be x, y, width and height in pixels")
    if min(box[2:]) == 0:
        return  # an object of zero area is left out, with its outline
    x, y, wide, high = box
    if not _meets([x, y, x + wide, y + high], width, height):
        raise CocoError(f"{name} has the box {box}: it lies outside of the image, {width} x {height} pixels")
    outline = about["segmentation"]
    if isinstance(outline, dict):
        _check_run_lengths(outline, name, width, height)
    else:
        _check_polygons(outline, name, width, height)


def _check_polygons(outline: Any, name: str, width: int, height: int) -> None:
    polygons = outline if isinstance(outline, list) else []
    drawn = all(isinstance(p, list) and len(p) >= 6 and len(p) % 2 == 0 and all(map(_number, p)) for p in polygons)
    if not polygons or not drawn:
        wanted = "a list of polygons [x, y, x, y, ...] of three points or more, or run lengths (RLE)"
        raise CocoError(f"{name} has an outline that cannot be drawn, {str(outline)[:60]}: it must be {wanted}")
    for polygon in polygons:
        if not _near(polygon, width, height):
            far = f"{name} has an outline that cannot be drawn: it leaves the image, {width} x {height} pixels, by more"
            raise CocoError(f"{far} than a side of it, {str(polygon)[:60]}")
    if not any(_meets(polygon, width, height) for polygon in polygons):
        raise CocoError(f"{name} has an outline that lies outside of the image, {width} x {height} pixels")


def _check_run_lengths(outline: dict, name: str, width: int, height: int) -> None:
    size, counts = outline.get("size"), outline.get("counts")
    sides = [whole(side) for side in size] if isinstance(size, list) else None
    if sides != [height, width]:
        raise CocoError(
            f"{name} has an outline that cannot be drawn: its run lengths are of size {size!r}, and the image's height "
            f"and width are {[height, width]}"
        )
    runs = [whole(run) for run in counts] if isinstance(counts, list) else _unpacked(counts)
    if None in runs or min(runs, default=-1) < 0 or sum(runs) != width * height:
        wanted = f"whole numbers that sum to {width * height}, the pixels of the image, or the same compressed"
        given = f"its run lengths are {str(counts)[:60]}"
        raise CocoError(f"{name} has an outline that cannot be drawn: {given}, and they must be {wanted}")
    outline["size"] = sides
    outline["counts"] = counts if isinstance(counts, str) else runs


def _unpacked(text: Any) -> list[int | None]:
    """Run lengths from COCO's compressed text: five bits per character, from the third run on as differences to the
    last but one. [None] for any other text."""
    codes = [ord(character) - 48 for character in text] if isinstance(text, str) else []
    if not codes or min(codes) < 0 or max(codes) > 63 or codes[-1] & 32:
        return [None]
    runs, value, shift = [], 0, 0
    for code in codes:
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:  # the last character of this run
            value -= (code & 16) << (shift - 4)  # its sign
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    return runs


def _number(value: Any) -> bool:
    """Whether a coordinate is a number, and not so large that drawing it would exhaust memory."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _near(points: list[float], width: int, height: int) -> bool:
    """Whether x, y, x, y, ... lie inside the image or outside by at most its side."""
    xs, ys = points[::2], points[1::2]
    return -width <= min(xs) <= max(xs) <= 2 * width and -height <= min(ys) <= max(ys) <= 2 * height


def _meets(points: list[float], width: int, height: int) -> bool:
    """Whether the box around x, y, x, y, ... is near the image, and a part of it inside."""
    xs, ys = points[::2], points[1::2]
    inside = min(xs) < width and max(xs) > 0 and min(ys) < height and max(ys) > 0
    return inside and _near(points, width, height)
