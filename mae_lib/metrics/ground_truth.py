"""The latents behind a world's images, without keeping the images."""

import torch
from torch import Tensor

from mae_lib.worlds import World

_CHUNK = 256


def ground_truth(world: World, split: str, count: int) -> dict[str, Tensor]:
    """The labels ("class", (count,)) and the latents of each level, (count, nodes) or (count, nodes, dim).

    They belong to the first `count` images of a split, as in `mae_lib.worlds.rendered`.
    """
    parts = []
    for indices in torch.arange(count).split(_CHUNK):
        sample = world.sample(indices, split)
        latents = {level.key: sample.latents[level.key] for level in world.levels.values()}
        parts.append(latents | {"class": sample.labels})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
