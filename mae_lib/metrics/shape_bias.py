"""Shape or texture: which of two cues decides when they disagree (Section 3.4; Geirhos et al. 2019).

A cue-conflict image has the shape of one class and the texture of another. Of the images that a model assigns to either
class, the shape bias is the share assigned to the shape's; images assigned to neither are left out, so both accuracies
are reported with it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from mae_lib.metrics.intervals import Interval, bootstrap_interval
from mae_lib.metrics.probes import linear_probe
from mae_lib.worlds.figurines import Figurines


@dataclass(frozen=True)
class ShapeBias:
    """The shape bias of a list of decisions; bias and accuracies lie in [0, 1]. `NaN` if no image is decided."""

    bias: float  # shape hits / (shape hits + texture hits)
    shape_accuracy: float  # shape hits / cue-conflict images
    texture_accuracy: float
    counts: dict[str, int]  # shape, texture and neither; `same` has no conflict and is left out of everything
    interval: Interval  # of the bias: bootstrap over decided images
    shape_hits: np.ndarray  # bool (conflict images,)
    texture_hits: np.ndarray
    contributions: np.ndarray  # (conflict images,): their mean is the bias, their spread its error


def shape_bias(
    decisions: ArrayLike, shapes: ArrayLike, textures: ArrayLike, confidence: float = 0.95, seed: int = 0
) -> ShapeBias:
    """The published formula: drop images with shape == texture, then shape hits / (shape hits + texture hits).

    All three are (images,), integers that number the same classes: the decisions, and the two cues. For images of more
    classes than the cues have, map the decisions to the cues' classes first.

    `contributions` linearise the ratio (the delta method): each image adds its effect on the bias. They let two models
    be compared image by image although they leave out different images.

    Raises ValueError for arrays of different lengths, or when no image has a conflict.
    """
    chosen, shape, texture = (np.asarray(values) for values in (decisions, shapes, textures))
    if chosen.ndim != 1 or not chosen.shape == shape.shape == texture.shape:
        found = f"decisions {chosen.shape}, shapes {shape.shape}, textures {texture.shape}"
        raise ValueError(f"{found}: give three flat lists of one length")
    conflict = shape != texture
    if not conflict.any():
        raise ValueError(f"none of {len(chosen)} images has the texture of another class: there is no conflict")
    by_shape, by_texture = (chosen == shape)[conflict], (chosen == texture)[conflict]
    decided = by_shape | by_texture
    groups = {"shape": by_shape, "texture": by_texture, "neither": ~decided, "same": ~conflict}
    if decided.any():
        interval = bootstrap_interval(by_shape[decided], confidence, seed)
        contributions = interval.mean + (by_shape - interval.mean * decided) / decided.mean()
    else:
        interval, contributions = Interval(np.nan, np.nan, np.nan, 0), np.full(len(decided), np.nan)
    counts = {name: int(group.sum()) for name, group in groups.items()}
    accuracies = float(by_shape.mean()), float(by_texture.mean())
    return ShapeBias(interval.mean, *accuracies, counts, interval, by_shape, by_texture, contributions)


def linear_decisions(train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike) -> np.ndarray:
    """The class that the probe of `mae_lib.metrics.probes` gives each test image: (images,), as in `train_y`."""
    classes = np.unique(train_y)
    asked = np.repeat(classes, len(test_x))  # is it this one? is it that one?
    hits = linear_probe(train_x, train_y, np.tile(test_x, (len(classes), 1)), asked).hits
    return classes[hits.reshape(len(classes), -1).argmax(0)]


def has_own_texture(world: Figurines, count: int, split: str) -> np.ndarray:
    """Which of the first `count` images of a split have their class's own texture: bool (count,).

    Where True, the image is the one that the world draws at `cue_strength` 1, else the one at strength 0: only the
    texture depends on it. So features for any strength can be selected from those for these two.
    """
    z = world.latents(torch.arange(count), split)
    return (z["texture"] == z["class"]).numpy()
