"""A world of noise that needs no drawing, and a run of seconds, shared by the tests of training.

`python small.py RUNS [SAVE_SECONDS [MICRO_BATCHES]]` trains it, which is what the tests kill, double and spread.
"""

import sys
from pathlib import Path

import torch

from mae_lib import randomness
from mae_lib.training import PretrainConfig, Run
from mae_lib.training.pretrain import train_mae

# 96 images in batches of 20: every pass over them starts within a batch.
CONFIG = PretrainConfig(
    image_size=16,
    unique_images=96,
    patch=4,
    unit=8,
    mask_ratio=0.6,
    width=16,
    depth=2,
    heads=2,
    decoder_width=16,
    decoder_heads=2,
    decoder_depth=2,
    batch=20,
    images=800,
    clip=1.0,
    flip=True,
)


def images(config: PretrainConfig) -> torch.Tensor:
    index = torch.arange(config.unique_images)
    return randomness.integers(256, 0, index, "image", (3, config.image_size, config.image_size)).to(torch.uint8)


def train_small(runs, config=CONFIG, draw=None, **options) -> Run:
    options = {"device": "cpu", "progress": False} | options
    return train_mae(config, draw or (lambda: images(config)), Path(runs), **options)


if __name__ == "__main__":
    runs, save_seconds, micro_batches = (sys.argv[1:] + ["60", "1"][len(sys.argv) - 2 :])[:3]
    run = train_small(runs, save_seconds=float(save_seconds), micro_batches=int(micro_batches))
    print(run.directory)
