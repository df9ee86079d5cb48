"""Table 1 and Table 2 on the real sets, with one linear probe of a frozen encoder.

The probe is trained once on ImageNet's training images and applied to every other set without further training. A set
that is not on this machine is left out, with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mae_lib.address import address
from mae_lib.data.files import DataError, Images
from mae_lib.data.loading import centres, default_workers, fixed_order
from mae_lib.data.views import SHARE
from mae_lib.imagenet.cue_conflict import entry_decisions
from mae_lib.imagenet.linear_probe import CHUNK, PROBE_VERSION, Head, Read, recipe_of, train_head
from mae_lib.imagenet.sets import ROBUSTNESS, LabelledSet, cue_conflict
from mae_lib.imagenet.world import ImageNet
from mae_lib.metrics.shape_bias import ShapeBias, shape_bias
from mae_lib.training import MAE, Hardware


def class_token(model: MAE) -> Read:
    """The encoder's class token for a whole image, which the paper's probes read."""
    return lambda images: model.encode(images)[:, 0]


def patch_colours(patch: int) -> Read:
    """The mean colour of each patch: features that need no encoder."""
    return lambda images: avg_pool2d(images, patch).flatten(1)


@dataclass(frozen=True)
class Probe:
    """A trained head on the features that `read` returns for images of `world`'s size."""

    world: ImageNet
    read: Read
    head: Head
    device: torch.device

    @torch.inference_mode()
    def logits(self, images: Images, share: float = SHARE, most: int | None = None) -> tuple[Tensor, np.ndarray]:
        """Logits (n, 1000) of the centres of a set's images that can be read, on the CPU, and their numbers (n,).

        Only the first `most` in their fixed order, by default all. `share` as in `evaluation_view`.
        """
        numbers, rows, read = fixed_order(len(images))[:most], [], []
        options = {"share": share, "batch": CHUNK, "workers": default_workers()}
        for views, found in centres(images, numbers, self.world.size, self.world.max_broken, **options):
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
                features = self.read(views.to(self.device).float().div_(255)).float()
            rows.append(self.head(features).cpu())
            read.append(found)
        return torch.cat(rows), torch.cat(read).numpy()

    def hits(self, one: LabelledSet, most: int | None = None) -> np.ndarray:
        """Whether each image of a set is recognised: bool (images,)."""
        logits, numbers = self.logits(one.images, most=most)
        return one.hits(logits, one.images.labels[numbers])

    def shape_bias(self) -> ShapeBias:
        """Table 2 by the published formula: 16 entry-level classes, each with the mean probability of its members.

        Raises DataError if the cue-conflict images are missing.
        """
        conflict = cue_conflict()
        logits, numbers = self.logits(conflict.images, share=1.0)
        return shape_bias(entry_decisions(logits), conflict.shapes[numbers], conflict.textures[numbers])


def fit_probe(
    world: ImageNet, read: Read, who: str, folder: Path, images: int, hardware: Hardware = Hardware()
) -> Probe:
    """The probe of a reader on the first `images` training images, loaded from `folder` or trained there.

    `who` names the reader; world, recipe and its declared version are part of the address too. Raises as `train_head`.
    """
    recipe = recipe_of(world.probe)
    place = folder / f"probe-{address(recipe, who, images, world.address(), PROBE_VERSION)}"
    visits = world.visits(images, recipe.crop, recipe.seed)
    head = train_head(read, visits, world.classes, recipe, place, world.max_broken, hardware)
    return Probe(world, read, head, hardware.torch_device)


@dataclass(frozen=True)
class Found:
    """The sets of Table 1 on this machine by column, ImageNet's own first, and why each missing one is missing."""

    sets: Mapping[str, LabelledSet]
    missing: Mapping[str, str] = field(default_factory=dict)


def found_sets(world: ImageNet) -> Found:
    """The available sets of Table 1. Raises DataError if ImageNet itself is missing."""
    sets, missing = {"IN1K": LabelledSet(world.images("val"))}, {}
    for column, opens in ROBUSTNESS.items():
        try:
            sets[column] = opens(world.v2) if column == "IN-v2" else opens()
        except DataError as error:
            missing[column] = str(error)
    return Found(sets, missing)
