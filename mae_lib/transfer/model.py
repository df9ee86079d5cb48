"""torchvision's Mask R-CNN (He et al. 2017) on a pyramid encoder, with lengths in units of the patch.

Torchvision's defaults suit photographs of 800 pixels. Here the anchors, and the level assigned to a box by its
size, scale with the patch, so that a canvas of 64 pixels in patches of 4 is treated as one of 256 in patches of 16.
Heads have LayerNorm, as in ViTDet. Images come in [0, 1]; the model standardises them as in the encoder's pretraining.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers import LayerNorm2d
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign

from mae_lib.training import MAE
from mae_lib.transfer.backbone import PyramidEncoder
from mae_lib.typed import typed_fields


@dataclass(frozen=True)
class DetectorSizes:
    """The architecture around the encoder. The defaults are ViTDet's, without windows and drop path."""

    channels: int = 256  # of the pyramid and of the heads
    scales: tuple[float, ...] = (4, 2, 1, 0.5)  # of the levels relative to the map of patches
    pyramid: str = "simple"  # or groups
    window: int | None = None  # side in patches; None for global attention in every block
    global_blocks: tuple[int, ...] = ()  # with global attention even if there is a window
    drop_path: float = 0.0
    head_convs: int = 4  # 3 x 3 convolutions of the box head and of the mask head
    head_width: int = 1024  # of the box head's vector
    anchor: float = 2.0  # side of an anchor in patches, on the level of the patches' own scale
    proposals: int = 1000  # of the region proposal network, per image
    samples: int = 512  # proposals that train the box head, per image
    sampling: int = 2  # points per side averaged for each RoIAlign output
    detections: int = 100  # kept, per image

    def __post_init__(self) -> None:
        typed_fields(self, "detection_sizes: ")


def mask_rcnn(mae: MAE, size: int, categories: int, sizes: DetectorSizes) -> MaskRCNN:
    """A detector of `categories` kinds of objects on a canvas of `size` pixels; heads drawn from torch's generator.

    Interface as in torchvision's detectors: a list of images in [0, 1] to a list of dicts of boxes, labels (from 1),
    scores and masks; in train mode images and targets to a dict of losses. Larger images are shrunk to the canvas, and
    smaller ones enlarged, until the longer side fits. Raises ValueError as `PyramidEncoder`.
    """
    encoder = PyramidEncoder(
        mae,
        size,
        sizes.channels,
        sizes.scales,
        sizes.pyramid,
        sizes.window,
        sizes.global_blocks,
        sizes.drop_path,
    )
    names, width = [str(k) for k in range(len(sizes.scales))], sizes.channels
    shape = (0.5, 1.0, 2.0)
    anchors = AnchorGenerator(
        tuple((sizes.anchor * mae.patch / scale,) for scale in sizes.scales), (shape,) * len(names)
    )
    convolutions = [width] * sizes.head_convs

    def pool(side: int) -> MultiScaleRoIAlign:
        # ImageNet's 224 pixels are 14 patches of 16, assigned to the level of stride 16, the patches' own.
        return MultiScaleRoIAlign(
            names, side, sizes.sampling, canonical_scale=14 * mae.patch, canonical_level=math.log2(mae.patch)
        )

    model = MaskRCNN(
        encoder,
        min_size=size,
        max_size=size,
        size_divisible=size,
        image_mean=mae.pixel_mean.flatten().tolist(),
        image_std=mae.pixel_std.flatten().tolist(),
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead(width, anchors.num_anchors_per_location()[0], conv_depth=1 + (sizes.head_convs > 1)),
        rpn_pre_nms_top_n_train=2 * sizes.proposals,
        rpn_pre_nms_top_n_test=sizes.proposals,
        rpn_post_nms_top_n_train=sizes.proposals,
        rpn_post_nms_top_n_test=sizes.proposals,
        rpn_batch_size_per_image=min(256, sizes.samples),
        box_roi_pool=pool(7),
        box_head=FastRCNNConvFCHead((width, 7, 7), convolutions, [sizes.head_width], norm_layer=LayerNorm2d),
        box_predictor=FastRCNNPredictor(sizes.head_width, 1 + categories),
        box_batch_size_per_image=sizes.samples,
        box_detections_per_img=sizes.detections,
        mask_roi_pool=pool(14),
        mask_head=MaskRCNNHeads(width, convolutions or [width], 1, norm_layer=LayerNorm2d),
        mask_predictor=MaskRCNNPredictor(width, width, 1 + categories),
    )
    for part in (model.rpn, model.roi_heads):
        part.forward = _in_full_precision(part)
    return model


def _in_full_precision(part: nn.Module) -> Callable[..., Any]:
    """The forward pass of a part after the encoder, in float32 despite autocast: bfloat16 boxes are off by pixels."""
    forward = part.forward

    def exact(*arguments: Any) -> Any:
        with torch.autocast(next(part.parameters()).device.type, enabled=False):
            return forward(*arguments)

    return exact


def layer_of(name: str, depth: int) -> int:
    """The layer of a detector's parameter: 0 for the embedding, 1 to `depth` for the blocks, then the rest."""
    if not name.startswith("backbone."):
        return depth + 1
    part = name.removeprefix("backbone.").split(".")
    if part[0] == "blocks":
        return 1 + int(part[1])
    return 0 if part[0] in ("patch_embed", "pos_embed", "cls_token") else depth + 1


def parameter_groups(model: nn.Module, weight_decay: float, layer_decay: float) -> list[dict]:
    """Groups for an optimiser, each with `lr_scale = layer_decay ** (layers above it)`; vectors are not decayed."""
    depth = len(model.backbone.blocks)
    groups: dict[tuple[int, bool], dict] = {}
    for name, parameter in model.named_parameters():
        layer = layer_of(name, depth)
        plain = parameter.ndim < 2 or name.endswith(("pos_embed", "cls_token"))
        about = {"weight_decay": 0.0 if plain else weight_decay, "lr_scale": layer_decay ** (depth + 1 - layer)}
        groups.setdefault((layer, plain), {"params": [], **about})["params"].append(parameter)
    return list(groups.values())
