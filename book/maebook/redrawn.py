"""Six figurines, and the same with all but some latents drawn anew: a committed picture, for pages without torch.

`python -m maebook.redrawn` draws it; a test holds it against the world.
"""

from pathlib import Path

import numpy as np
from PIL import Image

_FILE = Path(__file__).with_suffix(".png")
_SHAPE = ("class", "synonyms")
_POSE = ("shift", "scale", "turn", "jitter")
_LOOK = ("texture", "weave", "contrast", "tint", "shade", "day")
_KEPT = {
    "class": ("class",),
    "corners": _SHAPE,
    "+ pose": _SHAPE + _POSE,
    "+ texture": _SHAPE + _POSE + _LOOK,
}
_COUNT = 6


def redrawn() -> dict[str, np.ndarray]:
    """By what is kept, "first" for the originals: uint8 (6, 3, 32, 32) each, test images 0 to 5 of the figurines."""
    rows = ["first", *_KEPT]
    sheet = np.asarray(Image.open(_FILE, formats=["PNG"]))  # (rows * side, images * side, 3)
    tiles = sheet.reshape(len(rows), len(sheet) // len(rows), _COUNT, -1, 3)
    return dict(zip(rows, tiles.transpose(0, 2, 4, 1, 3), strict=True))


def drawn() -> dict[str, np.ndarray]:
    """What `redrawn` gives, from the world itself."""
    import torch

    from mae_lib.worlds import make_world
    from mae_lib.worlds.rendered import to_bytes

    world, indices = make_world("figurines"), torch.arange(_COUNT)
    made = {name: world.resample(indices, kept, "test") for name, kept in _KEPT.items()}
    return {
        name: to_bytes(one.images).numpy() for name, one in {"first": world.sample(indices, "test"), **made}.items()
    }


def _write() -> None:
    rows = np.stack(list(drawn().values()))  # (rows, images, 3, side, side)
    sheet = rows.transpose(0, 3, 1, 4, 2).reshape(len(rows) * rows.shape[3], -1, 3)
    Image.fromarray(sheet).save(_FILE, optimize=True)


if __name__ == "__main__":
    _write()
