"""Where an encoder attends, and how its attention falls on an object with a known outline (Section 3.2).

The weights are recomputed from the last block's queries and keys. timm's fused kernel never computes them, so reading
them from a running model silently returns nothing.

A *map* is one weight per patch, summing to 1. Every score weights patches at the border of a region by the share of
their pixels inside it, and treats ties alike, so a uniform map scores at chance.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mae_lib.metrics.batches import device_of, unit_images

CLS = 0  # the class token's number; patch p is token 1 + p


@torch.inference_mode()
def attention(model: nn.Module, images: Tensor, queries: Tensor, batch: int = 256) -> Tensor:
    """Attention of each head of the last block on whole images: float32 (B, heads, queries, 1 + patches).

    `queries` (B, Q) int64 are the tokens that attend: `CLS`, or 1 + p for patch p. Each row sums to 1; the class
    token's weight comes first. `images` (B, 3, H, W) are float in [0, 1] or uint8; `model` is an MAE in eval mode.
    With several class tokens the first attends, and the weights on all of them are summed.

    Raises ValueError for queries of another shape or number than the images.
    """
    if queries.ndim != 2 or len(queries) != len(images) or queries.dtype != torch.int64:
        shape = f"{queries.dtype} {tuple(queries.shape)}"
        raise ValueError(f"queries are {shape}: give int64 ({len(images)}, Q), the tokens that attend in each image")
    last, rows, caught, more = model.blocks[-1].attn, [], [], model.class_tokens - 1
    hook = last.qkv.register_forward_hook(lambda _, __, output: caught.append(output))
    try:
        for chunk, asked in zip(unit_images(images, batch, device_of(model)), queries.split(batch)):
            model.encode(chunk)
            asked = asked + more * (asked != CLS)
            whole = attention_weights(last, caught.pop(), asked.to(chunk.device))
            rows.append(torch.cat([whole[..., : 1 + more].sum(-1, keepdim=True), whole[..., 1 + more :]], -1).cpu())
    finally:
        hook.remove()
    return torch.cat(rows)


def attention_weights(layer: nn.Module, qkv: Tensor, queries: Tensor) -> Tensor:
    """`softmax(q k^T / sqrt(d))` of each head of a timm attention layer: (B, heads, Q, T).

    `qkv` (B, T, 3 * width) is its first layer's output for T tokens; `queries` (B, Q) are the tokens that attend.
    """
    q, k, _ = qkv.float().unflatten(-1, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, T, d)
    q, k = layer.q_norm(q), layer.k_norm(k)
    q = q.gather(2, queries[:, None, :, None].expand(-1, q.shape[1], -1, q.shape[3]))
    return (q @ k.transpose(-2, -1) * layer.scale).softmax(-1)


def attention_maps(model: nn.Module, images: Tensor, queries: Tensor, batch: int = 256) -> Tensor:
    """`on_patches` of `attention`: float32 (B, queries, patches)."""
    return on_patches(attention(model, images, queries, batch))


def on_patches(rows: Tensor) -> Tensor:
    """Attention (B, heads, queries, 1 + patches) averaged over heads, on patches only, scaled to sum to 1.

    If all heads of a query attend only to the class token, its map is uniform.
    """
    patches = rows.mean(1)[..., 1:]
    total = patches.sum(-1, keepdim=True)
    return torch.where(total > 0, patches / total, 1 / patches.shape[-1])


@torch.inference_mode()
def rise_without(model: nn.Module, images: Tensor, mask: Tensor, token: int) -> float:
    """The relative rise of the loss when an encoder token carries no information about its image: 0 if it is unused.

    `token` is a number among the encoder's outputs: `CLS`, or 1 + v for the v-th visible patch. Its output is replaced
    by its mean over `images` (B, 3, H, W), which `mask` (B, patches) hides in part, True = masked.
    """

    def silence(_: nn.Module, __: tuple, tokens: Tensor) -> Tensor:
        said = tokens.clone()
        said[:, token] = tokens[:, token].mean(0)
        return said

    before = model(images, mask).loss
    hook = model.norm.register_forward_hook(silence)
    try:
        after = model(images, mask).loss
    finally:
        hook.remove()
    return (after / before - 1).item()


def patch_shares(region: Tensor, patch: int) -> Tensor:
    """The share of each patch's pixels that lies in `region`, bool (..., H, W): float32 (..., patches), row by row.

    One or two dimensions precede the last two. Raises ValueError for a region that is not boolean or does not divide
    into patches.
    """
    if region.dtype != torch.bool or region.shape[-1] % patch or region.shape[-2] % patch:
        raise ValueError(f"region is {region.dtype} {tuple(region.shape)}: give bool, sides multiples of {patch} px")
    return F.avg_pool2d(region.float(), patch).flatten(-2)


def part_shares(parts: Tensor | None, patch: int) -> Tensor:
    """`patch_shares` of each part of a part map (B, H, W), whose parts are numbered from 1: (B, parts, patches).

    Raises ValueError for None, as from a world without parts, and for an image in which a part has no pixel.
    """
    if parts is None:
        raise ValueError("the images come without part maps: choose a world that draws objects, such as figurines")
    numbers = torch.arange(1, int(parts.max()) + 1, device=parts.device)
    regions = parts[:, None] == numbers[:, None, None]  # (B, parts, H, W)
    if not len(numbers) or not regions.any(-1).any(-1).all():
        raise ValueError("an image lacks a part: give part maps in which every part, numbered from 1, is to be seen")
    return patch_shares(regions, patch)


def object_queries(parts: Tensor | None, patch: int) -> Tensor:
    """The class token and one token for each part of an object: int64 (B, 1 + parts), from a part map (B, H, W).

    A part's token is the patch that it fills most; ties go to the one nearest its centre.
    """
    shares = part_shares(parts, patch)
    place = _positions(parts.shape[-1] // patch).to(shares.device)
    centre = shares @ place / shares.sum(-1, keepdim=True)  # (B, parts, 2)
    distance = (place - centre[:, :, None]).norm(dim=-1)
    chosen = (shares - 1e-4 * distance).argmax(-1)  # smaller than the step from one share to the next, 1 / patch^2
    return F.pad(1 + chosen, (1, 0), value=CLS)


def _positions(grid: int) -> Tensor:
    """Centres (x, y) of the patches, in units of the image's side: (patches, 2)."""
    axis = (torch.arange(grid) + 0.5) / grid
    return torch.stack([axis.repeat(grid), axis.repeat_interleave(grid)], 1)


def _below_and_tied(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """For each patch, how much of `weights` lies on patches with less attention than it, and with the same."""
    ordered, order = maps.contiguous().sort(-1)
    running = F.pad(weights.expand_as(maps).gather(-1, order).double().cumsum(-1), (1, 0))
    below = running.gather(-1, torch.searchsorted(ordered, maps.contiguous()))
    up_to = running.gather(-1, torch.searchsorted(ordered, maps.contiguous(), right=True))
    return below, up_to - below


def area_under_curve(maps: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """How well attention separates the pixels of two regions: the area under the ROC curve, float64 (...).

    It is the chance that a pixel of `inside` gets more attention than one of `outside`, ties counting half: 1 is
    perfect, 0.5 chance. `maps`, and the shares of patches `inside` and `outside`, are (..., patches). `NaN` where a
    region is empty.
    """
    below, tied = _below_and_tied(maps, outside)
    won = (inside * (below + tied / 2)).sum(-1)
    return won / (inside.double().sum(-1) * outside.double().sum(-1))


def top_patches(maps: Tensor, mass: float = 0.6) -> Tensor:
    """The fewest patches that hold `mass` of the attention: float64 (..., patches) in [0, 1].

    The last one and its ties enter in part, so that the total is exactly `mass`. The default is that of DINO (Caron et
    al. 2021). Raises ValueError for a mass outside of (0, 1].
    """
    if not 0 < mass <= 1:
        raise ValueError(f"mass {mass!r} must lie in (0, 1]: the share of attention that the top patches hold")
    total = maps.double().sum(-1, keepdim=True)
    below, tied = _below_and_tied(maps, maps)
    above = total - below - tied
    return torch.where(tied > 0, (mass * total - above) / tied, 0).clamp(0, 1)


def overlap(maps: Tensor, region: Tensor, mass: float = 0.6) -> Tensor:
    """Intersection over union of the patches of `top_patches` and a region's shares: float64 (...)."""
    top = top_patches(maps, mass)
    return (top * region).sum(-1) / (top + region - top * region).sum(-1)


def attention_scores(maps: Tensor, queries: Tensor, parts: Tensor, patch: int) -> dict[str, np.ndarray]:
    """How attention falls on an object and its parts; each score is float64 (B,).

    `maps` (B, 1 + parts, patches) belong to `queries` as from `object_queries`, for part maps `parts` (B, H, W).

    Of the class token's map: `cls_object`, the area under the curve for the object against the background;
    `cls_overlap`, of its top patches with the object; `cls_share`, the attention on the object.
    Of the parts' tokens, averaged over parts: `token_object`, the area for the *other* parts against the background;
    `token_part`, for the token's own part, itself left out, against the other parts; `token_reach`, the mean distance
    of what it attends to in units of the image's side; and the attention on `itself`, `same_part`, `other_parts` and
    `background`, summing to 1.

    Raises ValueError for maps that do not fit the queries and the part map.
    """
    shares = part_shares(parts, patch)  # (B, parts, L)
    count, size = shares.shape[1:]
    if maps.shape != (len(parts), 1 + count, size) or queries.shape != maps.shape[:2]:
        found = f"{tuple(maps.shape)} for queries {tuple(queries.shape)}"
        raise ValueError(f"maps are {found}: give {(len(parts), 1 + count, size)}, the class token's first")
    whole, (cls, tokens) = shares.sum(1), (maps[:, 0], maps[:, 1:])
    ground = 1 - whole
    others = whole[:, None] - shares
    itself = F.one_hot(queries[:, 1:] - 1, size).float()
    own = shares * (1 - itself)
    place = _positions(int(size**0.5))
    reach = (place[queries[:, 1:] - 1][:, :, None] - place).norm(dim=-1)  # (B, parts, L)
    elsewhere = tokens * (1 - itself)
    scores = {
        "cls_object": area_under_curve(cls, whole, ground),
        "cls_overlap": overlap(cls, whole),
        "cls_share": (cls * whole).sum(-1),
        "token_object": area_under_curve(tokens, others, ground[:, None]).mean(1),
        "token_part": area_under_curve(tokens, own, others).mean(1),
        "token_reach": (tokens * reach).sum(-1).mean(1),
        "itself": (tokens * itself).sum(-1).mean(1),
        "same_part": (elsewhere * shares).sum(-1).mean(1),
        "other_parts": (elsewhere * others).sum(-1).mean(1),
        "background": (elsewhere * ground[:, None]).sum(-1).mean(1),
    }
    return {name: score.double().numpy() for name, score in scores.items()}
