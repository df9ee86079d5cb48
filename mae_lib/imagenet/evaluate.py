"""Evaluate a model with one command: attention, the linear probe, Table 1's available sets, Table 2's shape bias.

    python -m mae_lib evaluate --preset paper --mask-ratio 0.75 --unit 16
    python -m mae_lib evaluate --model timm:vit_base_patch16_224.mae
    torchrun --nproc-per-node 8 -m mae_lib evaluate --model CHECKPOINT.pth

The scores are kept in the run's `table_1.json`.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image

from mae_lib.data.files import DataError
from mae_lib.imagenet.scores import class_token, fit_probe, found_sets
from mae_lib.imagenet.sections import ImageNetAttention
from mae_lib.imagenet.world import ImageNet
from mae_lib.metrics.attention import attention_maps
from mae_lib.metrics.intervals import bootstrap_interval
from mae_lib.training import MAE, Hardware, Run, checkpoints
from mae_lib.training.hardware import process_group, rank_and_world
from mae_lib.worlds import World

ATTENTION = {"kept by a token": "share on itself", "reach of a token": "reach of a part token"}


def evaluate(
    run: Run, probe_images: int, hardware: Hardware = Hardware(), world: World | None = None
) -> dict[str, Any]:
    """Scores of a run whose world is ImageNet, in [0, 1] with 95% intervals over images; kept in its `table_1.json`.

    By column of Table 1, and "shape bias" with its accuracies; a token's attention to itself, and its reach, in image
    sides; under "missing" why a set was left out. Maps are drawn in `attention.png`. The probe learns from the first
    `probe_images` training images. `world`: one with new options, such as the probe's recipe, to replace those that the
    run was trained with. Raises ValueError for a run on another world, and as `train_head`.
    """
    world = run.config.make_world() if world is None else world
    if not isinstance(world, ImageNet):
        raise ValueError(f"{run.directory.name} is no run on ImageNet: python -m mae_lib series measures the others")
    with process_group(hardware.torch_device):
        model = run.load(hardware.torch_device)
        probe = fit_probe(world, class_token(model), run.directory.name, run.directory, probe_images, hardware)
        if rank_and_world()[0] > 0:  # the sets are small compared with the probe's training: one worker scores them
            return {}
    found = found_sets(world)
    scores: dict[str, Any] = {column: _summary(probe.hits(one)) for column, one in found.sets.items()}
    section = ImageNetAttention(
        world, {"patch": run.config.patch, "test_images": len(found.sets["IN1K"].images)}, run.directory
    )
    looked = section.measure(("this model",), model)
    scores |= {name: _summary(looked[metric]) for name, metric in ATTENTION.items()}
    attention_picture(section, model).save(run.directory / "attention.png")
    missing = dict(found.missing)
    try:
        bias = probe.shape_bias()
        scores["shape bias"] = dict(zip(("value", "low", "high", "images"), bias.interval)) | {"counts": bias.counts}
    except DataError as error:
        missing["shape bias"] = str(error)
    checkpoints.write_json(run.directory / "table_1.json", scores | {"missing": missing})
    return scores | {"missing": missing}


def attention_picture(section: ImageNetAttention, model: MAE, count: int = 8) -> Image.Image:
    """One column per image: the image, the attention of its class token, and that of the token at its centre.

    Each map is scaled to its own maximum.
    """
    images, side = section.sample.images[:count], section.world.size // section.scale["patch"]
    maps = attention_maps(model, images, section.queries[:count]).unflatten(-1, (side, side))  # (B, 2, side, side)
    bright = (maps / maps.amax((-2, -1), keepdim=True)).repeat_interleave(images.shape[-1] // side, -1)
    bright = bright.repeat_interleave(images.shape[-1] // side, -2)[:, :, None].expand(-1, -1, 3, -1, -1)
    rows = torch.cat([images[:, None], bright.cpu()], 1)  # (B, 3, channels, H, W)
    pixels = (255 * rows).byte().permute(1, 3, 0, 4, 2).flatten(2, 3).flatten(0, 1)
    return Image.fromarray(pixels.numpy())


def _summary(hits: np.ndarray) -> dict[str, float]:
    interval = bootstrap_interval(hits.astype(float))
    return {"value": interval.mean, "low": interval.low, "high": interval.high, "images": len(hits)}


def described(scores: dict[str, Any]) -> str:
    """The scores as lines of text."""
    lines = []
    for name, score in scores.items():
        if name != "missing":
            value, low, high = (f"{100 * score[key]:.2f}" for key in ("value", "low", "high"))
            lines.append(f"{name:>16}  {value:>6} %  ({low} to {high}, {score['images']:,} images)")
    return "\n".join([*lines, *(f"{name:>16}  left out: {why}" for name, why in scores["missing"].items())])
