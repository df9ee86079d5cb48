"""Miniatures of the real data sets: the real class names and layouts, a few small images in each.

An image of a class has that class's colour on top of noise, so that even a tiny model learns something from it.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from timm.data import ImageNetInfo

from mae_lib.imagenet.cue_conflict import CLASSES, MEMBERS
from mae_lib.imagenet.sets import WNIDS, subset

# One member of each of the 16 entry-level classes, so that the shape bias is defined; some are in ImageNet-A and -R.
LABELS = tuple(next((m for m in MEMBERS[name] if m in subset("r")), MEMBERS[name][0]) for name in CLASSES)
OBJECTS = {  # ObjectNet's folder -> its label, and ImageNet's names for it, None where ImageNet has no such thing
    "alarm_clock": ("Alarm clock", (409, 530)),  # analog and digital
    "chair": ("Chair", (559, 765)),
    "beer_bottle": ("Beer bottle", (440,)),
    "air_freshener": ("Air freshener", None),
}
PER_CLASS = 4


def picture(label: int, number: int, size: tuple[int, int] = (56, 44)) -> Image.Image:
    """Width x height pixels in the colour of a class, with noise of its own."""
    rng = np.random.default_rng([label, number])
    colour = np.random.default_rng(label).integers(40, 216, 3)
    noise = rng.integers(-40, 40, (size[1], size[0], 3))
    return Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8))


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG" if path.suffix == ".png" else "JPEG", **({} if path.suffix == ".png" else {"quality": 95}))


def imagenet(root: Path, per_class: int = PER_CLASS) -> Path:
    for split, first in (("train", 0), ("val", 100)):
        for label in LABELS:
            for n in range(per_class):
                size = (40 + 7 * n, 60 - 5 * n)  # of many shapes, as the real ones
                save(root / split / WNIDS[label] / f"{WNIDS[label]}_{first + n}.JPEG", picture(label, first + n, size))
    return root


def imagenet_v2(root: Path) -> Path:
    for label in LABELS:
        save(root / "imagenetv2-matched-frequency-format-val" / str(label) / f"{label:08x}.jpeg", picture(label, 200))
    return root


def of_synsets(root: Path, labels: tuple[int, ...], file: str) -> Path:
    for label in labels:
        save(root / WNIDS[label] / file, picture(label, 300))
    return root


def imagenet_r(root: Path) -> Path:
    for n in range(2):
        of_synsets(root / "imagenet-r", tuple(label for label in LABELS if label in subset("r")), f"art_{n}.jpg")
    return root


def imagenet_a(root: Path) -> Path:
    of_synsets(root / "imagenet-a", subset("a")[:10], "0.000116_digital clock _ digital clock_0.865662.jpg")
    return root


def imagenet_sketch(root: Path) -> Path:
    of_synsets(root / "sketch", LABELS, "sketch_0.JPEG")
    return root


def objectnet(root: Path) -> Path:
    """With the red border, and mapping files written as the set ships them."""
    names, mappings = ImageNetInfo(), root / "objectnet-1.0" / "mappings"
    mappings.mkdir(parents=True)
    described = [names.index_to_description(label) for label in range(1000)]
    line_of = {label: (label * 7 + 3) % 1000 for label in range(1000)}  # ImageNet 2012 has an order of its own
    lines = [""] * 1000
    for label, line in line_of.items():
        lines[line] = described[label]
    known = {label: "; ".join(described[n] for n in members) for label, members in OBJECTS.values() if members}
    (mappings / "imagenet_to_label_2012_v2").write_text("\n".join(lines) + "\n")
    (mappings / "pytorch_to_imagenet_2012_id.json").write_text(json.dumps({str(k): v for k, v in line_of.items()}))
    (mappings / "folder_to_objectnet_label.json").write_text(json.dumps({k: v[0] for k, v in OBJECTS.items()}))
    (mappings / "objectnet_to_imagenet_1k.json").write_text(json.dumps(known))
    for folder, (_, members) in OBJECTS.items():
        for n in range(3):
            framed = Image.new("RGB", (60, 48), (255, 0, 0))
            framed.paste(picture(members[0] if members else 0, 400 + n), (2, 2))
            save(root / "objectnet-1.0" / "images" / folder / f"aaa{n}.png", framed)
    return root


def cue_conflict(root: Path) -> Path:
    """Every shape in two other textures and in its own."""
    for k, shape in enumerate(CLASSES):
        for texture in {shape, CLASSES[(k + 1) % 16], CLASSES[(k + 5) % 16]}:
            save(root / shape / f"{shape}1-{texture}2.png", picture(LABELS[k], 500, (224, 224)))
    return root


SETS = {
    "MAE_LIB_IMAGENET": imagenet,
    "MAE_LIB_IMAGENET_V2": imagenet_v2,
    "MAE_LIB_IMAGENET_R": imagenet_r,
    "MAE_LIB_IMAGENET_A": imagenet_a,
    "MAE_LIB_IMAGENET_SKETCH": imagenet_sketch,
    "MAE_LIB_OBJECTNET": objectnet,
    "MAE_LIB_CUE_CONFLICT": cue_conflict,
}


def write_all(root: Path) -> dict[str, str]:
    """Every set, and the environment variables that name them."""
    return {variable: str(write(root / variable.removeprefix("MAE_LIB_").lower())) for variable, write in SETS.items()}
