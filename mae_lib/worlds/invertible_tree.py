"""The world that satisfies Assumption 1 exactly: `child = leakyReLU(Q_slot [parent; noise])`, with Q orthogonal.

Orthogonal maps and a leaky ReLU are inverted in closed form, so any one leaf determines all of its ancestors and their
noises. With `slope=1` every variable is linear in independent standard normal noises: covariances have a closed form.
The products are summed in a fixed order, so an image has the same bits in any batch.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import LongTensor, Tensor

from mae_lib.randomness import normal, ranks
from mae_lib.theory import LatentHierarchy
from mae_lib.worlds.world import Described, Level, Sample, require

_FAN_OUT = 4
_NOISE_WIDTH = 16  # noise is drawn in multiples of a vector register, so that its bits do not depend on batch size


@dataclass(frozen=True)
class InvertibleTree(Described):
    """A quadtree of continuous latents with pixels at its leaves.

    Level d has `4**d` nodes of `root_dim * 2**d` numbers: 6 -> 12 -> 24 -> 48 by default, 64 leaves of 4 x 4 x 3
    pixels, 32 x 32 in all. `latents["level0"]` is the root and `latents["level3"]` the leaves (`latents["pixels"]`
    too), exact; nodes of a level in raster order. An image is the sigmoid of the leaves, so it is invertible as well.
    With `shuffle` the leaves are scattered over the image, and no square of patches is a subtree. The class is the
    orthant of the root's first four numbers.
    """

    name: ClassVar[str] = "invertible_tree"

    depth: int = 3  # levels below the root
    root_dim: int = 6  # numbers in the root; a leaf's root_dim 2^depth must be three square patches, 3 k^2
    slope: float = 0.2  # of the leaky ReLU for negative values; 1 makes the world linear
    seed: int = 0
    shuffle: int | None = None  # seed of a fixed shuffling of the leaves over the image; none keeps neighbours together

    def __post_init__(self) -> None:
        require(1 <= self.depth <= 5, "depth", self.depth, "in 1, ..., 5")
        require(self.root_dim >= 4, "root_dim", self.root_dim, "4 or more")
        require(0 < self.slope <= 1, "slope", self.slope, "in (0, 1]")
        leaf = self.root_dim * 2**self.depth
        require(self.shuffle is None or self.shuffle >= 0, "shuffle", self.shuffle, "0 or more, or null for none")
        wanted = "such that root_dim * 2^depth = 3 k^2 for a whole k (6 at depth 3)"
        require(leaf == 3 * self.patch**2, "root_dim", self.root_dim, wanted)

    @property
    def patch(self) -> int:
        """Side of a leaf in pixels."""
        return math.isqrt(self.root_dim * 2**self.depth // 3)

    @property
    def size(self) -> int:
        return self.patch * 2**self.depth

    @property
    def classes(self) -> int:
        return 16

    def dim(self, depth: int) -> int:
        """Numbers in a node of this depth, the root's being 0."""
        return self.root_dim * 2**depth

    @property
    def levels(self) -> dict[str, Level]:
        return {f"level{d}": Level(f"level{d}", 4**d, dim=self.dim(d)) for d in range(self.depth + 1)}

    @cached_property
    def hierarchy(self) -> LatentHierarchy:
        """The quadtree: a node of level d is `z{depth - d}_{row}_{column}`, a leaf `x_{row}_{column}`.

        Rows and columns are those of the tree; with `shuffle` a leaf lies elsewhere in the image, and the observables
        are in the order of the image's patches.
        """
        tree = LatentHierarchy.quadtree(2**self.depth, dims=[self.dim(d) for d in range(self.depth + 1)])
        if self.shuffle is None:
            return tree
        return LatentHierarchy(tree.graph, [tree.observables[leaf] for leaf in self.leaf_at.tolist()])

    @cached_property
    def leaf_at(self) -> Tensor:
        """Which leaf, in the tree's raster order, stands at each patch of the image: int64 (leaves,)."""
        if self.shuffle is None:
            return torch.arange(4**self.depth)
        return ranks(self.shuffle, torch.zeros(1, dtype=torch.int64), "places", 4**self.depth)[0]

    @cached_property
    def mixers(self) -> list[Tensor]:
        """The orthogonal maps of each step down: (4, dim, dim) float64, one for each slot among the children."""
        maps = []
        for d in range(1, self.depth + 1):
            n = self.dim(d)
            gauss = normal(self.seed, torch.arange(_FAN_OUT), f"mixer{d}", (n, n)).double()
            maps.append(torch.linalg.qr(gauss).Q)
        return maps

    def noises(self, indices: LongTensor, split: str = "train") -> dict[str, Tensor]:
        """Independent standard normals: `level0` is the root itself, `level{d}` is (B, 4^d, dim of the parent)."""
        drawn = {}
        for d in range(self.depth + 1):
            nodes, width = 4**d, self.dim(max(d - 1, 0))
            padded = -(-nodes * width // _NOISE_WIDTH) * _NOISE_WIDTH
            flat = normal(self.seed, indices, f"{split}/level{d}", (padded,))
            drawn[f"level{d}"] = flat[:, : nodes * width].reshape(-1, nodes, width)
        return drawn

    def grow(self, noises: dict[str, Tensor]) -> dict[str, Tensor]:
        """All levels from their noises, in the precision of the noises: `level{d}` is (B, 4^d, dim)."""
        levels = {"level0": noises["level0"]}
        for d in range(1, self.depth + 1):
            parents, slots = family(d, noises["level0"].device)
            stacked = torch.cat([levels[f"level{d - 1}"][:, parents], noises[f"level{d}"]], -1)
            levels[f"level{d}"] = self._leaky(_product(self.mixers[d - 1].to(stacked)[slots], stacked))
        return levels

    def invert(self, leaf: int, values: Tensor) -> dict[str, Tensor]:
        """All ancestors of one leaf from its exact values (B, leaf dim): `level{d}` is (B, dim), `level0` the root.

        Raises ValueError for a leaf or a width that does not exist.
        """
        require(leaf in range(4**self.depth), "leaf", leaf, f"in 0, ..., {4**self.depth - 1}")
        wanted = f"(images, {self.dim(self.depth)})"
        require(values.shape[1:] == (self.dim(self.depth),), "the shape of values", tuple(values.shape), wanted)
        found, i = {f"level{self.depth}": values}, leaf
        for d in range(self.depth, 0, -1):
            before = torch.where(values < 0, values / self.slope, values)
            # The inverse of an orthogonal map is its transpose, and these are row vectors.
            stacked = before @ self.mixers[d - 1][slot(d, i)].to(values)
            values, i = stacked[:, : self.dim(d - 1)], parent(d, i)
            found[f"level{d - 1}"] = values
        return found

    def loadings(self) -> tuple[Tensor, dict[str, slice]]:
        """For slope 1: the matrix that takes all noises, stacked level by level, to all pixels, in float64.

        Returns it as (leaves * leaf dim, noises) with the slice of each level's noises; the pixels' covariance is its
        product with its transpose. Raises ValueError for another slope.
        """
        require(self.slope == 1, "slope", self.slope, "1: only the linear tree has loadings")
        widths = [4**d * self.dim(max(d - 1, 0)) for d in range(self.depth + 1)]
        basis = torch.eye(sum(widths), dtype=torch.float64)
        parts = {f"level{d}": block for d, block in enumerate(basis.split(widths, 1))}
        shaped = {f"level{d}": parts[f"level{d}"].reshape(len(basis), 4**d, -1) for d in range(self.depth + 1)}
        ends = [sum(widths[:d]) for d in range(self.depth + 2)]
        slices = {f"level{d}": slice(ends[d], ends[d + 1]) for d in range(self.depth + 1)}
        return self.grow(shaped)[f"level{self.depth}"].flatten(1).T, slices

    def to_image(self, leaves: Tensor) -> Tensor:
        """Leaves (B, leaves, leaf dim) laid out as images: float32 (B, 3, size, size) in (0, 1), through a sigmoid."""
        side, k = 2**self.depth, self.patch
        placed = leaves if self.shuffle is None else leaves[:, self.leaf_at.to(leaves.device)]
        tiles = placed.float().view(-1, side, side, 3, k, k)  # rows, columns, colour, y, x
        return tiles.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, self.size, self.size).double().sigmoid().float()

    def from_image(self, images: Tensor) -> Tensor:
        """The leaves of images, the inverse of `to_image`: (B, leaves, leaf dim)."""
        side, k = 2**self.depth, self.patch
        tiles = images.logit().view(-1, 3, side, k, side, k)
        placed = tiles.permute(0, 2, 4, 1, 3, 5).reshape(len(images), side * side, 3 * k * k)
        return placed if self.shuffle is None else placed[:, self.leaf_at.to(images.device).argsort()]

    def render(self, noises: dict[str, Tensor]) -> Sample:
        """The images of noises from `noises`, edited or not."""
        levels = self.grow(noises)
        leaves = levels[f"level{self.depth}"]
        signs = (levels["level0"][:, 0, :4] > 0).long()
        labels = (signs * torch.tensor([8, 4, 2, 1], device=signs.device)).sum(1)
        return Sample(self.to_image(leaves), labels, {"class": labels, "pixels": leaves, **levels})

    def sample(self, indices: LongTensor, split: str = "train") -> Sample:
        return self.render(self.noises(indices, split))

    def resample(self, indices: LongTensor, keep: tuple[str, ...], split: str = "train", draw: int = 1) -> Sample:
        """The same images with all noises but those of the levels `keep` resampled; each `draw` is different."""
        return self.render(self.noises(indices, f"{split}/draw{draw}") | _pick(self.noises(indices, split), keep))

    def _leaky(self, values: Tensor) -> Tensor:
        return torch.where(values < 0, values * self.slope, values)


def _pick(noises: dict[str, Tensor], keep: tuple[str, ...]) -> dict[str, Any]:
    for name in keep:
        require(name in noises, "keep", name, f"one of {', '.join(noises)}")
    return {name: noises[name] for name in keep}


def parent(depth: int, i: int) -> int:
    """The parent's number, in raster order of its level, of node i of a depth."""
    row, column = divmod(i, 2**depth)
    return row // 2 * 2 ** (depth - 1) + column // 2


def slot(depth: int, i: int) -> int:
    """Which of its parent's four children node i of a depth is."""
    row, column = divmod(i, 2**depth)
    return 2 * (row % 2) + column % 2


def family(depth: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Parents and slots of all nodes of a depth: int64 (4^depth,) each."""
    nodes = range(4**depth)
    parents = torch.tensor([parent(depth, i) for i in nodes], device=device)
    return parents, torch.tensor([slot(depth, i) for i in nodes], device=device)


def _product(maps: Tensor, vectors: Tensor) -> Tensor:
    """maps (nodes, n, n) times vectors (B, nodes, n), summed column by column: a BLAS call's order varies with B."""
    out = torch.zeros_like(vectors)
    for j in range(vectors.shape[-1]):
        out = out + maps[..., j] * vectors[..., j, None]
    return out
