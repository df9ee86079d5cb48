"""What is in a scene, or what a detector says is in it, drawn on the picture: boxes, masks, category and score."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from mae_lib.reporting.plots import PALETTE

_SIDE = 192  # pixels of a drawing, so that lines are thin beside the objects


def annotated(image: Tensor, target: dict[str, Tensor], least: float = 0.5) -> Tensor:
    """An image, uint8 (3, H, W), enlarged, with the objects of `target` on it: uint8 (3, h, w).

    `target` as `CocoSplit.target` or `detections` gives it; of detections, those with a score of `least` or more.
    """
    factor = max(1, _SIDE // max(image.shape[-2:]))
    drawing = interpolate(image[None].float(), scale_factor=factor)[0].to(torch.uint8)
    kept = target["scores"] >= least if "scores" in target else torch.ones(len(target["labels"]), dtype=torch.bool)
    labels = target["labels"][kept].tolist()
    if not labels:
        return drawing
    colours = [PALETTE[(label - 1) % len(PALETTE)] for label in labels]
    masks = interpolate(target["masks"][kept][None].float(), scale_factor=factor)[0].bool()
    drawing = draw_segmentation_masks(drawing, masks, alpha=0.45, colors=colours)
    texts = [str(label) for label in labels]
    if "scores" in target:
        texts = [f"{text}: {score:.2f}" for text, score in zip(texts, target["scores"][kept].tolist())]
    return draw_bounding_boxes(drawing, target["boxes"][kept] * factor, texts, colours, width=3, label_colors="white")
