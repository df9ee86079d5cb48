"""A pretrained encoder with a feature pyramid: one map of patches becomes maps at several strides.

There are two pyramids. "simple" (ViTDet, Li et al. 2022, "Exploring Plain Vision Transformer Backbones") computes every
level from the last map. "groups" (Li et al. 2021, "Benchmarking Detection Transfer Learning with Vision Transformers",
which the MAE paper and the paper follow) divides the blocks into one group per level, takes each level from the end of
a group, and adds the coarse ones to the fine ones (FPN, Lin et al. 2017). On a canvas of the pretraining size the map
is that of `MAE.encode`; otherwise positions are interpolated, as in MAE. With a `window`, attention stays inside
windows except in the `global_blocks`, and the class token, which belongs to no window, is left out.
"""

import math
from collections import OrderedDict
from copy import deepcopy

import torch
from timm.layers import DropPath, LayerNorm2d, resample_abs_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FeaturePyramidNetwork

from mae_lib.training import MAE

PYRAMIDS = ("simple", "groups")


class PyramidEncoder(nn.Module):
    """The encoder of `mae` on a canvas of `size` pixels: standardised images to maps "0", "1", ... of `channels`.

    `scales` are the levels' sizes, finest first, relative to the map of patches: powers of two from 4 to 1/2. Raises
    ValueError for a size, scale, pyramid or block that does not fit.
    """

    def __init__(
        self,
        mae: MAE,
        size: int,
        channels: int = 256,
        scales: tuple[float, ...] = (4, 2, 1, 0.5),
        pyramid: str = "simple",
        window: int | None = None,
        global_blocks: tuple[int, ...] = (),
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        depth, width = len(mae.blocks), mae.cls_token.shape[-1]
        if size < mae.patch or size % mae.patch:
            raise ValueError(f"a canvas of {size} pixels does not divide into patches of {mae.patch}")
        if not scales or any(scale not in (4, 2, 1, 0.5) for scale in scales) or list(scales) != sorted(scales)[::-1]:
            raise ValueError(f"scales are {scales}: they must be among 4, 2, 1 and 0.5, the largest first")
        if pyramid not in PYRAMIDS:
            raise ValueError(f"pyramid {pyramid!r} is unknown: choose one of {', '.join(PYRAMIDS)}")
        if strange := [number for number in global_blocks if not 0 <= number < depth]:
            raise ValueError(f"there are no blocks {strange}: they are numbered from 0 to {depth - 1}")
        self.size, self.grid, self.out_channels = size, size // mae.patch, channels
        self.window, self.global_blocks = window, frozenset(global_blocks)
        self.patch_embed = deepcopy(mae.patch_embed.proj)
        first = mae.class_tokens
        positions = resample_abs_pos_embed(mae.pos_embed.detach(), [self.grid] * 2, num_prefix_tokens=first)
        self.cls_token = None if window else nn.Parameter((mae.cls_token + positions[:, :first]).detach().clone())
        self.pos_embed = nn.Parameter(positions[:, first:].clone())
        self.blocks, self.norm = deepcopy(mae.blocks), deepcopy(mae.norm)
        for number, block in enumerate(self.blocks):  # deeper blocks are dropped more often
            rate = drop_path * number / max(1, depth - 1)
            block.drop_path1, block.drop_path2 = DropPath(rate), DropPath(rate)
        groups = pyramid == "groups"
        # The last block of each group; a simple pyramid takes every level from the last block of all.
        self.taps = [math.ceil((k + 1) * depth / len(scales)) - 1 if groups else depth - 1 for k in range(len(scales))]
        self.resize = nn.ModuleList(_resized(width, scale) for scale in scales)
        self.levels = (
            FeaturePyramidNetwork([width] * len(scales), channels, norm_layer=LayerNorm2d)
            if groups
            else nn.ModuleList(_level(width, channels) for _ in scales)
        )

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """float32 maps (B, channels, scale * grid, scale * grid) by name, of standardised images (B, 3, size, size)."""
        maps = self.maps(images)
        resized = OrderedDict(
            (str(k), resize(maps[tap])) for k, (tap, resize) in enumerate(zip(self.taps, self.resize))
        )
        if isinstance(self.levels, FeaturePyramidNetwork):
            levels = self.levels(resized)
        else:
            levels = OrderedDict((name, level(x)) for (name, x), level in zip(resized.items(), self.levels))
        return OrderedDict((name, x.float()) for name, x in levels.items())

    def maps(self, images: Tensor) -> dict[int, Tensor]:
        """The patch tokens that the pyramid uses, (B, width, grid, grid) by block, normalised for the last one."""
        if images.shape[-2:] != (self.size, self.size):
            raise ValueError(f"images of {tuple(images.shape[-2:])} pixels do not fit the canvas of {self.size}")
        tokens = self.patch_embed(images).flatten(2).transpose(1, 2) + self.pos_embed
        prefix = 0 if self.cls_token is None else self.cls_token.shape[1]
        if prefix:
            tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1)
        found = {}
        for number, block in enumerate(self.blocks):
            windowed = self.window and number not in self.global_blocks
            tokens = in_windows(block, tokens, self.grid, self.window) if windowed else block(tokens)
            if number in self.taps:
                last = self.norm(tokens) if number == len(self.blocks) - 1 else tokens
                found[number] = last[:, prefix:].transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return found


def in_windows(block: Block, tokens: Tensor, grid: int, window: int) -> Tensor:
    """A block whose attention stays inside windows of `window` x `window` patches; tokens (B, grid * grid, D).

    Windows at the edge are padded with zeros, which are attended to, as in ViTDet.
    """
    x = block.norm1(tokens).unflatten(1, (grid, grid))
    missing = -grid % window
    x = F.pad(x, (0, 0, 0, missing, 0, missing))
    count = x.shape[1] // window
    x = x.unflatten(1, (count, window)).unflatten(3, (count, window)).transpose(2, 3)  # (B, n, n, w, w, D)
    x = block.attn(x.flatten(3, 4).flatten(0, 2))
    x = x.view(len(tokens), count, count, window, window, -1).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    x = x[:, :grid, :grid].flatten(1, 2)
    tokens = tokens + block.drop_path1(block.ls1(x))
    return tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))


def _resized(width: int, scale: float) -> nn.Module:
    """A map at `scale` times its size: transposed convolutions upwards, pooling downwards."""
    if scale == 0.5:
        return nn.MaxPool2d(2)
    double = [nn.ConvTranspose2d(width, width, 2, stride=2) for _ in range(round(math.log2(scale)))]
    between = [LayerNorm2d(width), nn.GELU()] if len(double) == 2 else []
    return nn.Sequential(*double[:1], *between, *double[1:])


def _level(width: int, channels: int) -> nn.Module:
    """ViTDet's level: a 1 x 1 and a 3 x 3 convolution, each followed by a LayerNorm."""
    convolutions = (
        nn.Conv2d(width, channels, 1, bias=False),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
    )
    return nn.Sequential(convolutions[0], LayerNorm2d(channels), convolutions[1], LayerNorm2d(channels))
