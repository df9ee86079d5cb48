"""What the sections of Section 3 have in common: the images of one world, their readers, and named scores.

A *reader* is what is scored on the images: a model trained with a mask, (ratio, unit, seed), or one without masking,
`("untrained", seed)`, `("supervised", seed)`, `("pixels",)`, `("nothing",)` and `("uniform",)`. Its *scores* are one
number per image and metric, named as in `results/claims.yaml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from mae_lib.address import address
from mae_lib.training import MAE, MaskSampler, PretrainConfig
from mae_lib.worlds import World

Reader = tuple[float, int, int] | tuple[str, int] | tuple[str]
Scores = dict[str, np.ndarray]  # metric -> float64 (images,)

_SHARED = ("world", "scale", "cache")


@dataclass(frozen=True)
class Section:
    """One section's measurements on one world. Data are loaded at first use and shared by all readers.

    `scale` is a preset's, with its evaluation sizes; images are rendered once into `cache`. A subclass's further fields
    are its options.
    """

    name: ClassVar[str]
    baselines: ClassVar[tuple[str, ...]] = ()  # the readers without masked training that it measures
    version: ClassVar[int] = 1  # raised when the same model gets different scores

    world: World
    scale: Mapping[str, Any]
    cache: Path

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        """The scores of one reader; `model` is its encoder in eval mode, None for those that have none."""
        raise NotImplementedError

    def on_the_way(self, model: MAE) -> Scores:
        """A few cheap scores of a model that is still being trained, for curves over training; none by default."""
        return {}

    def supervised(self, seed: int, device: str) -> MAE:
        """The encoder of this scale trained on labels, for sections with the reader `("supervised", seed)`."""
        raise NotImplementedError

    def derived(self, scores: dict[Reader, Scores]) -> dict[Reader, Scores]:
        """The scores, with those derived from several readers."""
        return scores

    def reads(self, mask: tuple[float, int, int]) -> bool:
        """Whether the section measures the model of this mask."""
        return True

    @property
    def options(self) -> dict[str, Any]:
        """What a section's scores depend on besides the scale."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in _SHARED}

    @property
    def key(self) -> str:
        """Ten hexadecimal digits of all that the scores of a model depend on: sizes, options and versions."""
        return address(self.name, self.version, self.world.address(), dict(self.scale), self.options)

    def masks(self, reader: Reader) -> MaskSampler:
        """The masks that the model of this reader was trained on."""
        ratio, unit, seed = reader
        return PretrainConfig.from_scale(self.scale, mask_ratio=ratio, unit=unit, seed=seed).masks()


def unmeasured(names: list[str], count: int) -> Scores:
    """Scores that cannot be measured on a world: `NaN` for each of `count` images."""
    return {name: np.full(count, np.nan) for name in names}


def over(scores: Mapping[Reader, Scores], metric: str, baseline: Reader, suffix: str) -> dict[Reader, Scores]:
    """The readers' scores minus a baseline's, image by image: `<metric> over <suffix>`, for those that have both.

    The baseline `("untrained",)` means the fresh weights of a reader's own seed.
    """
    found = {}
    for reader, one in scores.items():
        beside = scores.get(("untrained", reader[-1]) if baseline == ("untrained",) else baseline, {})
        if len(reader) == 3 and metric in one and metric in beside:
            found[reader] = {f"{metric} over {suffix}": np.asarray(one[metric] - beside[metric])}
    return found


def joined(scores: Mapping[Reader, Scores], *more: Mapping[Reader, Scores]) -> dict[Reader, Scores]:
    """The scores of every reader, merged with further ones."""
    return {reader: {k: v for some in (scores, *more) for k, v in some.get(reader, {}).items()} for reader in scores}


def untrained(scale: Mapping[str, Any], seed: int) -> MAE:
    """The architecture of a scale with untrained weights, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PretrainConfig.from_scale(dict(scale)).model().eval()
