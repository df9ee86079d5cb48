"""What is in a scene, or what a detector says is in it, drawn on pictures: boxes, masks and categories.

Boxes are lines of the figure and no pixels, so that they stay visible when a page makes the figure small.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor
from torchvision.utils import draw_segmentation_masks

from maebook.figures import DASHES, PALETTE, image_grid

Target = Mapping[str, Tensor]
HALO = withStroke(linewidth=2.8, foreground="white")  # a box is seen on any ground


def scene_grid(
    pictures: Sequence[Tensor],
    rows: Mapping[str, Sequence[Target] | None],
    least: float = 0.5,
    names: Mapping[int, str] | None = None,
) -> Figure:
    """Pictures, uint8 (3, H, W), in rows by name, each row with its objects on them; None leaves the pictures plain.

    Objects as `CocoSplit.target` or `detections` gives them; of detections, those with a score of `least` or more.
    Colour and dashes of a box tell its category, which a legend names, by `names` where given; past six categories they
    come round again.
    """
    kept = {name: [_sure(one, least) for one in row] for name, row in rows.items() if row is not None}
    labels = sorted({label for row in kept.values() for one in row for label in one["labels"].tolist()})
    look = {label: {"color": colour, "ls": dash} for label, (colour, dash) in zip(labels, cycle(zip(PALETTE, DASHES)))}
    plain = np.stack([picture.numpy() for picture in pictures])
    tinted = [
        np.stack([_tinted(picture, one, look) for picture, one in zip(pictures, kept[name])]) if name in kept else plain
        for name in rows
    ]
    drawing = image_grid(tinted, list(rows))
    axis, size = drawing.axes[0], np.array(plain.shape[:1:-1])  # width and height
    whole = np.array(axis.images[0].get_array().shape[1::-1])
    step = (whole - size) / np.maximum(1, [len(plain) - 1, len(rows) - 1])
    named = {}
    for place, name in enumerate(rows):
        for column, one in enumerate(kept.get(name, ())):
            for box, label in zip(one["boxes"].numpy(), one["labels"].tolist()):
                corner = box[:2] + step * (column, place) - 0.5  # a pixel is centred on its number
                shape = Rectangle(corner, *(box[2:] - box[:2]), fill=False, lw=1.6, path_effects=[HALO], **look[label])
                named.setdefault(label, axis.add_patch(shape))
    if named:
        names = [(names or {}).get(label, f"category {label}") for label in sorted(named)]
        handles = [named[label] for label in sorted(named)]
        drawing.legend(handles, names, loc="outside lower center", ncols=3, handlelength=2.6)
        drawing.set_figheight(drawing.get_figheight() + 0.2 * -(-len(named) // 3) + 0.1)
    return drawing


def _sure(target: Target, least: float) -> dict[str, Tensor]:
    sure = target["scores"] >= least if "scores" in target else torch.ones(len(target["labels"]), dtype=torch.bool)
    return {name: target[name][sure] for name in ("boxes", "labels", "masks")}


def _tinted(picture: Tensor, target: Target, look: Mapping[int, Mapping]) -> np.ndarray:
    colours = [look[label]["color"] for label in target["labels"].tolist()]
    if not colours:
        return picture.numpy()
    return draw_segmentation_masks(picture, target["masks"].bool(), alpha=0.45, colors=colours).numpy()
