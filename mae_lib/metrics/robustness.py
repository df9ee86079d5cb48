"""The six evaluation sets of the paper's Table 1, each a variant of the figurines, and one probe for all of them.

The probe is trained once, on clean images, and applied to the sets without further training, as in the paper. A variant
intervenes on one latent or a few; all but IN-v2 are paired with the clean images one by one. The paper's sets differ
in many ways at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.probes import linear_probe
from mae_lib.worlds import World, rendered

SETS = ("IN1K", "IN-v2", "OJN", "IN-R", "IN-A", "IN-S")  # the columns of Table 1
# The variant for each column. IN-A's counterpart is not a variant but clean images that a reference model misses.
VARIANT_OF = {"IN1K": "clean", "IN-v2": "second", "OJN": "odd_pose", "IN-R": "rendition", "IN-S": "sketch"}


@dataclass(frozen=True)
class EvaluationSet:
    """Images uint8 (B, 3, H, W) with their classes, int64 (B,)."""

    images: Tensor
    labels: np.ndarray


def evaluation_set(world: World, split: str, count: int, folder: str | Path) -> EvaluationSet:
    """The first `count` images of a split, rendered once into `folder`."""
    return EvaluationSet(rendered(world, split, count, folder), ground_truth(world, split, count)["class"].numpy())


def variant_sets(world: World, count: int, folder: str | Path) -> dict[str, EvaluationSet]:
    """The counterparts of IN1K, IN-v2, OJN, IN-R and IN-S by these names: `count` test images each.

    Raises ValueError for a world without variants: its latents cannot be intervened on.
    """
    if "variant" not in {field.name for field in fields(world)}:
        raise ValueError(f"the world {world.name!r} has no variants: robustness is measured on figurines")
    variants = {column: replace(world, variant=variant) for column, variant in VARIANT_OF.items()}
    return {column: evaluation_set(variant, "test", count, folder) for column, variant in variants.items()}


def robustness(
    train_x: ArrayLike,
    train_y: ArrayLike,
    tests: Mapping[str, tuple[ArrayLike, ArrayLike]],
    reference_hits: ArrayLike,
) -> dict[str, np.ndarray]:
    """Whether one linear probe of the class gets each image of each set right: bool (images,) by column of Table 1.

    `tests` holds features (images, width) and classes (images,) of each variant set, including IN1K. IN-A are the IN1K
    images that a reference model misses, where `reference_hits`, one for each image of IN1K, is False. Raises
    ValueError for another number of these, for a reference that misses nothing, or as `linear_probe` does.
    """
    hard = ~np.asarray(reference_hits, dtype=bool)
    if hard.shape != np.shape(tests["IN1K"][1]):
        raise ValueError(
            f"reference_hits has shape {hard.shape}, IN1K {np.shape(tests['IN1K'][1])} images: give one each"
        )
    if not hard.any():
        raise ValueError(f"the reference misses none of {hard.size} images: give more of them, or a weaker reference")
    x, y = (np.concatenate(arrays) for arrays in zip(*tests.values()))
    ends = np.cumsum([len(labels) for _, labels in tests.values()])
    hits = dict(zip(tests, np.split(linear_probe(train_x, train_y, x, y).hits, ends[:-1])))
    hits["IN-A"] = hits["IN1K"][hard]
    return {column: hits[column] for column in SETS if column in hits}
