"""Section 3.6 in practice: the runs of its first two suggestions, at the compute of the plain series.

Each suggestion is a setting of `PretrainConfig`, so an arm is the plain series with that setting changed: same world,
model, seeds, steps and share of visible patches. Pages and `python -m mae_lib table` share these arms.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mae_lib.limits.latent_tree import discover_tree
from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.metrics.node_probes import node_scores, patch_features
from mae_lib.presets import SERIES_RATIO, load_scale
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.studies.series import Series
from mae_lib.theory import LatentHierarchy
from mae_lib.theory.mask_levels import subtree_units
from mae_lib.training import MAE
from mae_lib.training.mae import patchify
from mae_lib.worlds import World, rendered
from mae_lib.worlds.rendered import to_bytes

BOUNDARIES = (0, 1, 2)  # patches around a visible one that are left out of the loss; 0 is the plain trainer
MASKS = ("patches", "squares", "blocks", "subtrees", "discovered")
LEVELS = {"root": "level0", "nodes": "level1", "leaves": "level2"}  # of the tree world, with their latents
DISCOVERY_IMAGES = 2000  # from which the tree is learned
TREE_SHARE = 0.6  # images of a run on the tree, as a share of the preset's

# The models of the small trees. Slope, size and optimiser were chosen by whether a model learns anything at ratio 0.75
# and unit 4, before any two masks were compared.
TREE = {
    "world": "invertible_tree",
    "image_size": 16,
    "patch": 4,
    "unit": 4,
    "norm_pixels": False,
    "depth": 2,
    "heads": 8,
    "decoder_heads": 8,
    "decoder_width": 64,
    "lr": 0.004,
}
_SCATTERED = {  # the bent tree, its leaves scattered over the image
    "world_options": {"depth": 2, "root_dim": 12, "slope": 0.5, "shuffle": 0},
    "pixel_mean": [0.52] * 3,
    "pixel_std": [0.15] * 3,
}
_MOST_UNIQUE = 20_000


def boundary_series(
    preset: str | Path, seeds: list[int] | str, boundaries: tuple[int, ...] = BOUNDARIES, scale: Any = None
) -> dict[int, Series]:
    """The preset's own world at ratio 0.75 and units of 2 x 2 patches, one series per boundary width.

    With units of one patch, almost no masked patch is more than one patch from every visible one. Raises ValueError for
    a boundary that leaves nothing to predict.
    """
    unit = 2 * load_scale(preset, scale)["patch"]
    plain = Series.of(preset, [SERIES_RATIO], [unit], seeds, (scale or {}) | {"unit": unit})
    return {width: plain.varied(boundary=width) for width in boundaries}


def tree_series(preset: str | Path, seeds: list[int] | str, share: float = TREE_SHARE) -> Series:
    """The plain runs on the tree world with scattered leaves: ratio 0.75, each patch a unit of its own."""
    base = load_scale(preset)
    size = {"images": max(base["batch"], int(share * base["images"]))}
    size |= {"unique_images": min(_MOST_UNIQUE, base["unique_images"])}
    return Series.of(preset, [SERIES_RATIO], [4], seeds, TREE | _SCATTERED | size)


def mask_series(plain: Series, discovered: LatentHierarchy) -> dict[str, Series]:
    """An arm for each of `MASKS` on the tree world, all with the visible share of `plain`.

    patches: every leaf is a unit; squares: of 2 x 2 patches; blocks: as in BEiT; subtrees: the leaves below each lowest
    latent of the true tree; discovered: the same for a learned tree. Raises ValueError for a tree without latents below
    its root.
    """
    settings = {
        "patches": {},
        "squares": {"unit": 8},
        "blocks": {"mask_shape": "blocks"},
        "subtrees": {"mask_units": lowest_units(plain.world.hierarchy)},
        "discovered": {"mask_units": lowest_units(discovered)},
    }
    return {name: plain.varied(**settings[name]) for name in MASKS}


def lowest_units(tree: LatentHierarchy) -> tuple[int, ...]:
    """The leaves below each lowest latent as mask units, for `PretrainConfig.mask_units`."""
    return tuple(subtree_units(tree, 1).tolist())


def world_patches(world: World, count: int, split: str = "probe", noise: float = 0.0, first: int = 0) -> np.ndarray:
    """Patches as leaves of a tree world: float64 (images, patches, numbers), of `count` images from number `first` on.

    They are rounded to bytes, as in image files; `noise` is the deviation of normal noise added before rounding.
    """
    indices = torch.arange(first, first + count)
    images = world.sample(indices, split).images
    grain = torch.from_numpy(np.random.default_rng(first).standard_normal(images.shape, dtype=np.float32))
    side = world.size // int(len(world.hierarchy.observables) ** 0.5)
    return patchify(to_bytes((images + noise * grain).clamp(0, 1)).float() / 255, side).double().numpy()


def discovered_tree(world: World, count: int = DISCOVERY_IMAGES, noise: float = 0.0, first: int = 0) -> LatentHierarchy:
    """The latent tree inferred from the patches of `count` images; arguments as for `world_patches`."""
    return discover_tree(world_patches(world, count, noise=noise, first=first), draws=10)


@dataclass(frozen=True)
class TreeLevels(Section):
    """R² of linear probes for each level of the tree world, node by node: "root probe" and so on."""

    name: ClassVar[str] = "tree_levels"
    baselines: ClassVar[tuple[str, ...]] = ("untrained",)

    @cached_property
    def images(self) -> dict[str, Tensor]:
        """Images that the probes learn from, and test images: uint8."""
        return {split: rendered(self.world, split, count, self.cache) for split, count in self._counts.items()}

    @cached_property
    def truths(self) -> dict[str, list[Tensor]]:
        """The latents behind them, level by level."""
        found = {split: ground_truth(self.world, split, count) for split, count in self._counts.items()}
        return {split: [truth[key] for key in LEVELS.values()] for split, truth in found.items()}

    @property
    def _counts(self) -> dict[str, int]:
        return {"probe": self.scale["probe_images"], "test": self.scale["test_images"]}

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        place = self.world.leaf_at.argsort().numpy()  # position of each leaf in the image
        seen = {split: patch_features(model, images)[:, place] for split, images in self.images.items()}
        scores = node_scores(seen["probe"], self.truths["probe"], seen["test"], self.truths["test"])
        return {f"{level} probe": np.asarray(values, float) for level, values in zip(LEVELS, scores)}
