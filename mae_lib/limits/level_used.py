"""The level that a decoder uses: how much its prediction changes when one level's noises are resampled.

It needs no probe and no assumption about widths, only inputs and predictions. Half the mean squared change, over the
variance of the prediction, is the total Sobol index of that level's noises (Homma and Saltelli, 1996). By Algorithm 1
the best prediction depends only on the noises of A, so its index is zero for all others.
"""

from collections.abc import Callable

import torch
from torch import LongTensor, Tensor

from mae_lib.theory import locate_shared_information_batch
from mae_lib.worlds.invertible_tree import InvertibleTree

Predictor = Callable[[Tensor, Tensor], Tensor]


def prediction_changes(
    world: InvertibleTree, predict: Predictor, indices: LongTensor, masks: Tensor, split: str = "test", draw: int = 1
) -> dict[str, Tensor]:
    """Half the mean squared change of the hidden pixels' prediction, per image: float64 (B,) each.

    predict: images (B, 3, H, W) and masks bool (B, leaves), True = masked, to images whose hidden pixels are predicted
    from the visible ones only: `model.reconstruct` (without `norm_pixels`, which uses the hidden patches' mean), or
    `bayes_limits.linear_predictor`. The resampled noises are those of one level ("level0" for the root, and so on), of
    all nodes outside A ("private"), or all ("all").
    Raises ValueError unless there is one mask per image that hides some leaves and shows some.
    """
    if masks.dtype != torch.bool or masks.shape != (len(indices), 4**world.depth):
        raise ValueError(f"masks are {masks.dtype} {tuple(masks.shape)}: give bool ({len(indices)}, {4**world.depth})")
    if masks.all(1).any() or not masks.any(1).all():
        raise ValueError("a mask hides all leaves or none: some of either kind are needed")
    noises, fresh = world.noises(indices, split), world.noises(indices, f"{split}/draw{draw}")
    changed = {name: noises | {name: fresh[name]} for name in noises}
    changed |= {"private": _private(world, noises, fresh, masks), "all": fresh}
    before = predict(world.render(noises).images, masks)
    return {
        name: _on_hidden(world, predict(world.render(anew).images, masks) - before, masks) / 2
        for name, anew in changed.items()
    }


def sobol_indices(changes: dict[str, Tensor]) -> dict[str, float]:
    """The share of the prediction's variance that changes with each group of noises: in [0, 1] up to sampling error.

    Raises ValueError for a prediction that never changes.
    """
    variance = changes["all"].mean().item()
    if not variance > 0:
        raise ValueError("the prediction is the same for every image: it uses no level")
    return {name: change.mean().item() / variance for name, change in changes.items() if name != "all"}


def _private(world: InvertibleTree, noises: dict, fresh: dict, masks: Tensor) -> dict[str, Tensor]:
    """Noises of A kept, those of all other nodes resampled."""
    batch = locate_shared_information_batch(world.hierarchy, masks.numpy())
    split = torch.from_numpy(batch.split).split([4**d for d in range(world.depth)], 1)
    kept = {f"level{d}": shared[..., None] for d, shared in enumerate(split)}  # a leaf's own noise is never shared
    return {name: torch.where(kept[name], noises[name], new) if name in kept else new for name, new in fresh.items()}


def _on_hidden(world: InvertibleTree, difference: Tensor, masks: Tensor) -> Tensor:
    squared = difference.double().square().mean(1, keepdim=True)
    leaves = torch.nn.functional.avg_pool2d(squared, world.patch).flatten(1)
    return (leaves * masks).sum(1) / masks.sum(1)
