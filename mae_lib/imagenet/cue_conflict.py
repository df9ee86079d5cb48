"""The cue-conflict images of Geirhos et al. (2019): a shape of one class in the texture of another (Table 2).

1,280 images of 224 px, `dog3-clock1.png` in a folder for each shape; 80 of them have the texture of their own class and
are left out of the shape bias. A model of ImageNet's 1,000 classes chooses one of 16 entry-level classes: the one whose
members have the highest *mean* probability, so that dogs, 110 of the 207 members, gain nothing from their number.
"""

import re
from pathlib import Path

import torch
from torch import Tensor


def _run(first: int, last: int, *without: int) -> tuple[int, ...]:
    return tuple(index for index in range(first, last + 1) if index not in without)


# ImageNet-1K indices of each class: github.com/rgeirhos/texture-vs-shape, code/helper/human_categories.py.
MEMBERS: dict[str, tuple[int, ...]] = {
    "airplane": (404,),
    "bear": _run(294, 297),
    "bicycle": (444, 671),
    "bird": (8, *_run(10, 24, 17, 21), *_run(80, 100, 84, 85, 86, 97), *_run(127, 145, 134)),
    "boat": (472, 554, 625, 814, 914),
    "bottle": (440, 720, 737, 898, 899, 901, 907),
    "car": (436, 511, 817),
    "cat": _run(281, 286),
    "chair": (423, 559, 765, 857),
    "clock": (409, 530, 892),
    "dog": _run(152, 268, 192, 204, 227, 242, 251, 258, 260, 264),
    "elephant": (385, 386),
    "keyboard": (508, 878),
    "knife": (499,),
    "oven": (766,),
    "truck": (555, 569, 656, 675, 717, 734, 864, 867),
}
CLASSES = tuple(MEMBERS)  # in alphabetical order; a class's number is its index


def entry_decisions(logits: Tensor) -> Tensor:
    """The entry-level class, int64 (B,) in [0, 16), of the 1,000 ImageNet logits of each image, (B, 1000).

    Ties go to the first class, as in the published code. Raises ValueError for any other number of logits.
    """
    if logits.ndim != 2 or logits.shape[1] != 1000:
        raise ValueError(f"logits have shape {tuple(logits.shape)}: give (images, 1000), one for each ImageNet class")
    probabilities = logits.double().softmax(1)
    return torch.stack([probabilities[:, list(members)].mean(1) for members in MEMBERS.values()], 1).argmax(1)


def cues_of(file: str | Path) -> tuple[int, int]:
    """The numbers of the shape's and of the texture's class, parsed from a name such as `dog3-clock1.png`.

    Raises ValueError for a name without them.
    """
    found = re.fullmatch(r"([a-z]+)\d+-([a-z]+)\d+", Path(file).stem)
    if not found or not {*found.groups()} <= set(CLASSES):
        raise ValueError(f"{file} is no cue-conflict image: its name should be like dog3-clock1.png")
    return CLASSES.index(found[1]), CLASSES.index(found[2])
