"""ImageNet-1K, the five further sets of the paper's Table 1, and the cue-conflict images of Table 2.

Each set is found by an environment variable or an explicit folder, and has the layout of its authors' release (see
`mae_lib/data/README.md`). Labels are ImageNet-1K's numbers, 0 to 999 in the order of the synsets, whatever subset of
the classes a folder has.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resource_files
from pathlib import Path

import numpy as np
import torch
from timm.data import ImageNetInfo
from torch import Tensor

from mae_lib.data.files import (
    DataError,
    Folder,
    Images,
    class_folders,
    contents,
    found,
    image_names,
    inner,
    safe_name,
)
from mae_lib.imagenet.cue_conflict import CLASSES, cues_of

WNIDS: tuple[str, ...] = tuple(ImageNetInfo().label_names())  # synset of each class, such as n01440764
LABEL_OF = {wnid: label for label, wnid in enumerate(WNIDS)}
V2_VARIANTS = {  # Recht et al. (2019): the folder of each
    "matched-frequency": "imagenetv2-matched-frequency-format-val",
    "threshold-0.7": "imagenetv2-threshold0.7-format-val",
    "top-images": "imagenetv2-top-images-format-val",
}
BORDER = 2  # red pixels around ObjectNet's images, to be cut off (Barbu et al. 2019)


@dataclass(frozen=True)
class LabelledSet:
    """Images, and how a prediction of one of ImageNet's 1,000 classes is scored.

    `among`: the only classes that can win, for a set of a subset of them. `accepted`: for labels that are not ImageNet
    classes, the ImageNet classes that count as each.
    """

    images: Images
    among: tuple[int, ...] | None = None
    accepted: Mapping[int, tuple[int, ...]] | None = None

    def hits(self, logits: Tensor, labels: np.ndarray) -> np.ndarray:
        """Whether each row of logits (n, 1000) predicts its label (n,): bool (n,)."""
        if self.among is not None:
            chosen = torch.tensor(self.among)[logits[:, list(self.among)].argmax(1).cpu()].numpy()
        else:
            chosen = logits.argmax(1).cpu().numpy()
        if self.accepted is None:
            return chosen == labels
        return np.array([guess in self.accepted[label] for guess, label in zip(chosen.tolist(), labels.tolist())])


def imagenet(split: str, root: str | Path | None = None) -> Images:
    """ImageNet-1K's "train" or "val", as files in `<split>/<synset>/`, or packed (see `mae_lib.data.packs`)."""
    wanted = "ImageNet-1K: train/ and val/, each with a folder of images for every class, such as n01440764"
    top = found("MAE_LIB_IMAGENET", root, wanted)
    folder = top / split
    if not folder.is_dir():
        raise DataError(f"{top} holds {contents(top)}; it should hold {wanted}")
    from mae_lib.data.packs import opened

    if (packed := opened(folder)) is not None:
        return packed
    if split == "val" and image_names(folder) and not any(p.is_dir() for p in folder.iterdir()):
        raise DataError(
            f"{folder} holds images and no folders: sort them into one for each class first, as torchvision's "
            "ImageNet data set does"
        )
    return class_folders(folder, LABEL_OF, "a folder of images for every class, such as n01440764")


def imagenet_v2(variant: str = "matched-frequency", root: str | Path | None = None) -> LabelledSet:
    """ImageNet-v2, 10,000 images; its folders 0 to 999 are the labels. Raises ValueError for an unknown variant."""
    if variant not in V2_VARIANTS:
        raise DataError(f"ImageNet-v2's variant {variant!r} is unknown: choose one of {', '.join(V2_VARIANTS)}")
    wanted = f"{V2_VARIANTS[variant]}/ with folders 0 to 999"
    top = inner(found("MAE_LIB_IMAGENET_V2", root, wanted), V2_VARIANTS[variant])
    others = set(V2_VARIANTS.values()) - {V2_VARIANTS[variant]}
    if top.name in others:
        raise DataError(f"{top} is another variant than {variant!r}: it should be {V2_VARIANTS[variant]}")
    return LabelledSet(class_folders(top, {str(label): label for label in range(1000)}, wanted))


def imagenet_sketch(root: str | Path | None = None) -> LabelledSet:
    """ImageNet-Sketch (Wang et al. 2019): `sketch/<synset>/`, 1,000 classes."""
    wanted = "ImageNet-Sketch: sketch/ with a folder for every class, such as n01440764"
    return LabelledSet(class_folders(inner(found("MAE_LIB_IMAGENET_SKETCH", root, wanted), "sketch"), LABEL_OF, wanted))


def imagenet_a(root: str | Path | None = None) -> LabelledSet:
    """ImageNet-A (Hendrycks et al. 2021): 200 classes, to which predictions are restricted."""
    return _of_200("a", "MAE_LIB_IMAGENET_A", root)


def imagenet_r(root: str | Path | None = None) -> LabelledSet:
    """ImageNet-R (Hendrycks et al. 2021): 200 classes, not ImageNet-A's, to which predictions are restricted."""
    return _of_200("r", "MAE_LIB_IMAGENET_R", root)


def _of_200(letter: str, variable: str, root: str | Path | None) -> LabelledSet:
    among = subset(letter)
    wanted = f"ImageNet-{letter.upper()}: imagenet-{letter}/ with folders such as {WNIDS[among[0]]}"
    top = inner(found(variable, root, wanted), f"imagenet-{letter}")
    return LabelledSet(class_folders(top, {WNIDS[label]: label for label in among}, wanted), among)


@cache
def subset(letter: str) -> tuple[int, ...]:
    """The 200 classes of ImageNet-A ("a") or ImageNet-R ("r"), from the lists that timm carries."""
    file = resource_files("timm.data") / "_info" / f"imagenet_{letter}_indices.txt"
    return tuple(sorted(map(int, file.read_text().split())))


def objectnet(root: str | Path | None = None) -> LabelledSet:
    """ObjectNet (Barbu et al. 2019): the images of the objects that are also in ImageNet, without their red border.

    Labels number the objects in the order of their folders. Which ImageNet classes count as an object is read from the
    set's own mapping files. Raises DataError for a mapping file that is missing or has unknown names.
    """
    wanted = "ObjectNet: images/ with a folder for every object, and mappings/"
    top = inner(found("MAE_LIB_OBJECTNET", root, wanted), "objectnet-1.0")
    if not (top / "images").is_dir() or not (top / "mappings").is_dir():
        raise DataError(f"{top} holds {contents(top)}; it should hold {wanted}")
    counts_as = object_classes(top / "mappings")
    folders = {name: number for number, name in enumerate(sorted(counts_as))}
    images = class_folders(top / "images", folders, "a folder for every object, such as air_freshener", BORDER)
    return LabelledSet(images, accepted={folders[name]: classes for name, classes in counts_as.items()})


def object_classes(mappings: Path) -> dict[str, tuple[int, ...]]:
    """The ImageNet classes that count as the object of each folder; objects that ImageNet lacks are left out."""
    label_of_folder = _mapping(mappings / "folder_to_objectnet_label.json")
    folder_of = {label: safe_name(folder, mappings) for folder, label in label_of_folder.items()}
    numbers, counts_as = _numbers_of_names(mappings), {}
    for label, names in _mapping(mappings / "objectnet_to_imagenet_1k.json").items():
        if label not in folder_of:
            raise DataError(f"{mappings}: objectnet_to_imagenet_1k.json names {label!r}, which has no folder")
        unknown = [name for name in names.split("; ") if name.strip() not in numbers]
        if unknown:
            raise DataError(f"{mappings}: {label!r} counts as {unknown[0]!r}, which is no class of ImageNet-1K")
        counts_as[folder_of[label]] = tuple(numbers[name.strip()] for name in names.split("; "))
    return counts_as


def _numbers_of_names(mappings: Path) -> dict[str, int]:
    """The number of each ImageNet class by ObjectNet's name for it.

    The set ships the names, one per line in the order of ImageNet 2012's labels, and the line of each of today's
    numbers.
    """
    file = mappings / "imagenet_to_label_2012_v2"
    if not file.is_file():
        raise DataError(f"{mappings} holds {contents(mappings)}; it should hold {file.name}")
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    places = _mapping(mappings / "pytorch_to_imagenet_2012_id.json", int)
    numbers = {}
    for number, line in places.items():
        if not number.isdecimal() or int(number) >= 1000 or not 0 <= line < len(lines):
            raise DataError(f"{mappings}: pytorch_to_imagenet_2012_id.json maps {number!r} to {line!r}: no such class")
        numbers[lines[line]] = int(number)
    return numbers


def _mapping(file: Path, kind: type = str) -> dict[str, str]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): it comes with the set") from None
    except ValueError:
        raise DataError(f"{file} is truncated or is not JSON") from None
    if not isinstance(read, dict) or not all(type(value) is kind for value in read.values()):
        raise DataError(f"{file} should be a mapping of names to {'names' if kind is str else 'numbers'}")
    return read


@dataclass(frozen=True)
class CueConflict:
    """Images with the entry-level classes, 0 to 15, of their shape and of their texture, (n,) each."""

    images: Folder
    shapes: np.ndarray
    textures: np.ndarray


def cue_conflict(root: str | Path | None = None) -> CueConflict:
    """The 1,280 cue-conflict images of Geirhos et al. (2019): a folder for each of 16 shapes, `dog3-clock1.png` in it.

    Raises DataError for a folder without them, or for an image in the wrong shape's folder.
    """
    wanted = "the cue-conflict images: a folder for each of 16 shapes, such as airplane, with airplane1-bear2.png"
    top = inner(found("MAE_LIB_CUE_CONFLICT", root, wanted), "style-transfer-preprocessed-512", "cue-conflict")
    images = class_folders(top, {name: number for number, name in enumerate(CLASSES)}, wanted)
    try:
        cues = np.array([cues_of(os.fsdecode(path)) for path in images.paths])
    except ValueError as error:
        raise DataError(f"{top}: {error}") from None
    if (wrong := cues[:, 0] != images.labels).any():
        raise DataError(f"{top}: {os.fsdecode(images.paths[wrong][0])} lies in the folder of another shape")
    return CueConflict(images, *cues.T)


# The columns of Table 1 besides ImageNet's own validation images, and how each is opened.
ROBUSTNESS: dict[str, Callable[..., LabelledSet]] = {
    "IN-v2": imagenet_v2,
    "OJN": objectnet,
    "IN-R": imagenet_r,
    "IN-A": imagenet_a,
    "IN-S": imagenet_sketch,
}
