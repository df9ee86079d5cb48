"""Detection data in COCO's format (Lin et al. 2014): a folder of images per split, and its annotations as one JSON.

    COCO/train2017/*.jpg  COCO/val2017/*.jpg
    COCO/annotations/instances_{train,val}2017.json

`CocoSplit` reads such a folder, COCO's own or one written by `write_coco`. Masks are handled by faster-coco-eval, a
COCO API. Errors name the file, image or annotation at fault.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mae_lib.data.files import Unreadable, decoded
from mae_lib.transfer.coco_annotations import Annotations, CocoError, read_annotations

VARIABLE = "MAE_LIB_COCO"
SPLITS = ("train", "val")


def coco_folder(folder: str | Path | None = None) -> Path:
    """The folder given, else the one that `$MAE_LIB_COCO` names. Raises CocoError for neither."""
    named = folder or os.environ.get(VARIABLE)
    if not named:
        raise CocoError(f"no COCO folder is given: set {VARIABLE} to the one that holds train2017/ and annotations/")
    return Path(named).expanduser()


@dataclass(frozen=True)
class CocoSplit:
    """One split, "train" or "val", of a folder in COCO's layout; the first `count` images by id, all by default.

    `like`: another split, whose categories define the labels, so that a detector trained on it can be scored on this
    one. Raises CocoError for an incomplete folder, for an entry that is not in COCO's format, and for a category that
    the other split lacks.
    """

    folder: Path
    split: str
    count: int | None = None
    like: "CocoSplit | None" = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise CocoError(f"split {self.split!r} is unknown: choose train or val")
        for path in (self.folder, self.images, self.annotations):
            if not path.exists():
                near = next(parent for parent in path.parents if parent.exists())
                there = ", ".join(sorted(entry.name for entry in near.iterdir())[:8]) or "nothing"
                raise CocoError(f"{path} does not exist: {near} holds {there}")
        self._check_files()
        self._check_numbering()
        images = len(self._annotations.images)
        if self.count is not None and not 1 <= self.count <= images:
            raise CocoError(f"{self.annotations} has {images} images, and {self.count} are asked for")

    @property
    def images(self) -> Path:
        """The folder of the split's images."""
        return self.folder / f"{self.split}2017"

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations" / f"instances_{self.split}2017.json"

    @cached_property
    def categories(self) -> dict[int, str]:
        """Names by id, in the order of ids, from `like` if given; COCO's 80 ids lie between 1 and 90."""
        return self._annotations.categories if self.like is None else self.like.categories

    @cached_property
    def labels(self) -> dict[int, int]:
        """The label of a category's id: 1, 2, ... without gaps, as detectors require; 0 is the background."""
        return {number: label for label, number in enumerate(self.categories, 1)}

    @cached_property
    def ids(self) -> list[int]:
        """The ids of the images, including those without objects."""
        return sorted(self._annotations.images)[: self.count]

    @cached_property
    def key(self) -> str:
        """Sixteen hexadecimal digits of the annotations and of how many images are taken."""
        digest = hashlib.sha256(self.annotations.read_bytes())
        digest.update(str(len(self)).encode())
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def paths(self) -> np.ndarray:
        """The names of the images' files in the folder `images`, bytes (n,)."""
        return np.array([os.fsencode(self._annotations.images[number]["file_name"]) for number in self.ids])

    @property
    def root(self) -> Path:
        return self.images

    def read(self, index: int) -> Image.Image:
        """An image as RGB. Raises Unreadable for a file that is missing, not an image or not of its annotated size,
        CocoError if all are missing."""
        about = self._annotations.images[self.ids[index]]
        try:
            with open(self.images / about["file_name"], "rb") as file:
                image = decoded(file)
        except OSError as error:
            if not self.images.is_dir():
                raise CocoError(f"{self.images} has vanished: mount it again, and the same command goes on") from None
            raise Unreadable(f"{about['file_name']} is listed in {self.annotations}: {error.strerror}") from None
        if image.size != (said := (about["width"], about["height"])):
            sizes = "{} x {} pixels, and {} says {} x {}".format(*image.size, self.annotations, *said)
            raise Unreadable(f"{about['file_name']} has {sizes}")
        return image

    def image(self, index: int) -> Tensor:
        """`read` as uint8 (3, H, W)."""
        return pixels(self.read(index))

    def target(self, index: int, crowds: bool = False) -> dict[str, Tensor]:
        """The N objects in an image; N may be 0.

        boxes (N, 4) float32 x0, y0, x1, y1; labels (N,) int64 from 1; masks (N, H, W) uint8; iscrowd (N,) int64.
        Crowds, which represent many objects at once, are left out unless requested: a detector neither trains on them
        nor is penalised for them. Boxes of zero area are left out too. Raises CocoError for an outline that cannot be
        drawn.
        """
        about, found = self._annotations.images[self.ids[index]], self._objects(index, crowds)
        corners = [(x, y, x + w, y + h) for x, y, w, h in (a["bbox"] for a in found)]
        masks = [self._mask(annotation) for annotation in found]
        return {
            "boxes": torch.tensor(corners, dtype=torch.float32).view(-1, 4),
            "labels": torch.tensor([self.labels[a["category_id"]] for a in found], dtype=torch.int64),
            "masks": torch.from_numpy(np.stack(masks))
            if masks
            else torch.zeros(0, about["height"], about["width"]).byte(),
            "iscrowd": torch.tensor([a["iscrowd"] for a in found], dtype=torch.int64),
        }

    def check_objects(self) -> None:
        """Raise CocoError if no image has an object: nothing can be learned or scored."""
        if not any(self._objects(index) for index in range(len(self))):
            said = f"lists no object with an inside, crowds aside, in the {len(self)} images that are taken"
            raise CocoError(f"{self.annotations} {said}: at least one is needed")

    @cached_property
    def _annotations(self) -> Annotations:
        return read_annotations(self.annotations)

    def _objects(self, index: int, crowds: bool = False) -> list[dict[str, Any]]:
        found = self._annotations.objects[self.ids[index]]
        return [a for a in found if min(a["bbox"][2:]) > 0 and (crowds or not a["iscrowd"])]

    def _check_files(self) -> None:
        owners: dict[str, int] = {}
        for number, about in self._annotations.images.items():
            file, name = about.get("file_name"), f"image {number} of {self.annotations}"
            if not isinstance(file, str) or not (self.images / file).resolve().is_relative_to(self.images.resolve()):
                raise CocoError(f"{name} has the file {file!r}: it must lie in {self.images}")
            if owners.setdefault(file, number) != number:
                raise CocoError(f"{name} has the file {file!r}, which is image {owners[file]}'s: list it once")

    def _check_numbering(self) -> None:
        """Raise CocoError unless this split's categories have the same numbers in `like`, which may list more."""
        if self.like is None:
            return
        theirs = self.like.categories
        for number, name in self._annotations.categories.items():
            if theirs.get(number) != name:
                known = f"{theirs[number]!r}" if number in theirs else "not listed"
                text = (
                    f"{self.annotations} calls category {number} {name!r}, which in {self.like.annotations} is {known}"
                )
                raise CocoError(f"{text}: both must number and name their categories alike")

    def _mask(self, annotation: dict) -> np.ndarray:
        about, outline, api = self._annotations.images[annotation["image_id"]], annotation["segmentation"], _api()
        try:
            if isinstance(outline, list):
                outline = api.merge(api.frPyObjects(outline, about["height"], about["width"]))
            elif isinstance(outline["counts"], list):
                outline = api.frPyObjects(outline, about["height"], about["width"])
            mask = api.decode(outline)
        except Exception as error:  # the compiled decoder may raise anything
            text = f"annotation {annotation['id']} of {self.annotations} has an outline that cannot be drawn"
            raise CocoError(f"{text} ({' '.join(str(error).split())[:120]})") from None
        return np.ascontiguousarray(mask, dtype=np.uint8)


def pixels(image: Image.Image) -> Tensor:
    """uint8 (3, H, W) of an RGB image."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def write_coco(
    folder: Path, split: str, scenes: Iterable[tuple[Tensor, dict[str, Tensor]]], categories: Sequence[str]
) -> None:
    """Write a split in COCO's layout: images as PNG, masks as compressed run lengths (RLE), category ids from 1.

    `scenes` yields an image, uint8 (3, H, W), and its boxes (N, 4), labels (N,) from 1 and masks (N, H, W) uint8.
    """
    mask_api = _api()
    images, annotations = [], []
    (folder / f"{split}2017").mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    for number, (image, target) in enumerate(scenes, 1):
        name = f"{number:012d}.png"
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{split}2017" / name, compress_level=1)
        images.append({"id": number, "file_name": name, "height": image.shape[1], "width": image.shape[2]})
        for (x0, y0, x1, y1), label, mask in zip(target["boxes"].tolist(), target["labels"].tolist(), target["masks"]):
            rle = mask_api.encode(np.asfortranarray(mask.numpy()))
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": label, "iscrowd": 0}
            annotation |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": int(mask.sum())}
            counts = rle["counts"].decode() if isinstance(rle["counts"], bytes) else rle["counts"]
            annotations.append(annotation | {"segmentation": {"size": list(rle["size"]), "counts": counts}})
    named = [{"id": label, "name": name, "supercategory": "object"} for label, name in enumerate(categories, 1)]
    whole = {"images": images, "annotations": annotations, "categories": named}
    (folder / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(whole))


def _api() -> Any:
    """The COCO API for masks, an optional dependency that nothing else in the package needs."""
    try:
        import faster_coco_eval.core.mask as found
    except ModuleNotFoundError:
        raise CocoError("detection needs faster-coco-eval and torchmetrics: install mae_lib[detection]") from None
    return found
