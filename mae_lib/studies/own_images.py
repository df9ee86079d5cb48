"""The outcome of a run on a folder of your own: a picture, and a few numbers with their references."""

from collections import Counter

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mae_lib.folders import runs_folder
from mae_lib.metrics.attention import attention_maps
from mae_lib.metrics.expected_loss import expected_losses, model_loss
from mae_lib.metrics.reconstruction import pixel_mask
from mae_lib.studies.folder import FolderPretraining
from mae_lib.training import MAE, Run
from mae_lib.training.folder import ImageFolder

SHOWN = 8  # test images in a picture
NAMED = 20  # skipped files named in the line
_SCORED = 64  # test images of the losses
_PROBED = {"probe_images": 4000, "test_images": 1000}  # at most
_SIDE = 96  # smallest side of an image in a picture, in pixels


def report(run: Run, world: ImageFolder) -> list[str]:
    """Draw `reconstructions.png` in the run's folder; lines on the model, the picture, losses and skipped files."""
    model = run.load()
    count = min(_SCORED, len(world.images("test")))
    images = world.sample(torch.arange(count), "test").images
    hidden = run.config.masks().sample(seed=run.config.seed, step=0, rows=torch.arange(count))
    drawn, place = picture(model, images[:SHOWN], hidden[:SHOWN]), run.directory / "reconstructions.png"
    drawn.save(place)
    target = "normalised" if model.norm_pixels else "raw"
    floors = {name: getattr(loss, target) for name, loss in expected_losses(images, hidden, model).items()}
    floors |= {"this model": getattr(model_loss(model, images, hidden), target)}
    mean, deviation = world.colours
    lines = [
        f"model: {run.directory / 'model.safetensors'}",
        f"picture: {place} (originals, what the model sees, what it paints in, where its class token looks)",
        f"loss on {count} test images, {target} targets: " + ", ".join(f"{n} {v:.3f}" for n, v in floors.items()),
        f"the folder's own pixel_mean {_listed(mean)} and pixel_std {_listed(deviation)}",
    ]
    return [*lines, *_probe(run, world, model), skipped_line(world)]


def _listed(values: Tensor) -> str:
    return "[" + ", ".join(f"{value:.3f}" for value in values.tolist()) + "]"


def _probe(run: Run, world: ImageFolder, model: MAE) -> list[str]:
    """The class probe's accuracy, if there are classes."""
    if not world.class_names:
        return []
    try:
        section = FolderPretraining(world, {"patch": run.config.patch, **_PROBED}, runs_folder() / "images")
        own, pixels = (
            section.measure(reader, one)["class probe accuracy"].mean()
            for reader, one in ((("this model",), model), (("pixels",), None))
        )
    except ValueError as error:
        return [f"class probe: not measured, {error}"]
    labels = world.images("test").labels[: _PROBED["test_images"]]
    most = Counter(labels.tolist()).most_common(1)[0][1] / len(labels)
    said = f"this model {own:.3f}, raw pixels {pixels:.3f}, always the commonest class {most:.3f}"
    return [f"class probe, {world.classes} classes, {len(labels)} test images: {said}"]


def skipped_line(world: ImageFolder) -> str:
    """Which files could not be read, in one line."""
    names, total = list(world.skipped), len(world.files)
    if not names:
        return f"skipped: none of {total:,} files"
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"skipped: {len(names):,} of {total:,} files cannot be read: {', '.join(names[:NAMED])}{more}"


@torch.inference_mode()
def picture(model: MAE, images: Tensor, hidden: Tensor) -> Image.Image:
    """One column per image (B, 3, H, W): the original, with patches hidden (B, L), with these reconstructed and the
    others kept, and the class token's attention on the whole image, scaled to its maximum."""
    side = images.shape[-1]
    masked = pixel_mask(hidden, side, side)[:, None]
    painted = model.reconstruct(images, hidden).clamp(0, 1)
    maps = attention_maps(model, images, torch.zeros(len(images), 1, dtype=torch.int64))
    bright = (maps / maps.amax(-1, keepdim=True)).view(len(images), 1, model.grid, model.grid)
    bright = bright.repeat_interleave(model.patch, 2).repeat_interleave(model.patch, 3).expand_as(images)
    rows = [images, torch.where(masked, 0.5, images), painted, bright]
    return Image.fromarray(_mosaic(torch.stack(rows), max(1, -(-_SIDE // side))))


def _mosaic(rows: Tensor, zoom: int) -> np.ndarray:
    """Rows of images (R, B, 3, H, W) side by side with white between: uint8 (height, width, 3)."""
    large = rows.repeat_interleave(zoom, -1).repeat_interleave(zoom, -2)
    framed = torch.nn.functional.pad(large, (2, 2, 2, 2), value=1.0)
    return (255 * framed).round().byte().permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1).numpy()
