"""A world of noise that needs no drawing, and a run of seconds, shared by the tests of training.

`python -m small RUNS [SAVE_SECONDS [MICRO_BATCHES...]]` trains it, which is what the tests kill, double and spread: a
batch in several parts goes to a folder of its own, RUNS/PARTS. With $DIE_AT it kills itself as it begins that step.
"""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from mae_lib import randomness
from mae_lib.training import Hardware, MaskSampler, PretrainConfig, Run, pretrain

HERE = Path(__file__).parent
FORKED = [
    sys.executable,
    "-m",
    "maebook.forkserver",
]  # and a module: forked for the fixture `forked`

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
    hardware = Hardware(**{"device": "cpu", "progress": False} | options)
    return pretrain(config, runs, hardware, images=draw or (lambda: images(config)))


# As long as a test of equal weights needs, and its batch splits 4 x 4 ways.
SPREAD = replace(CONFIG, batch=16, images=320)


def same_weights(a, b, atol):
    """Equal but for float error, a bias of attention's keys apart.

    Softmax does not see that bias: its gradient is nothing but rounding, which AdamW scales to full steps.
    """
    for (name, x), y in zip(a.load().state_dict().items(), b.load().state_dict().values(), strict=True):
        if name.endswith("qkv.bias"):
            x, y = (torch.cat([part[0], part[2]]) for part in (x.chunk(3), y.chunk(3)))
        torch.testing.assert_close(x, y, atol=atol, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def train_spread(runs: Path, reference: Run, workers: int) -> None:
    """Train SPREAD by torchrun with gloo, its batches in 1, 2 and 4 parts; asserts that it is `reference` each time."""
    torchrun = [*FORKED, "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)]
    command = [*torchrun, "-m", "maebook.forkserver", "small", str(runs), "60", "1", "2", "4"]
    subprocess.run(command, cwd=HERE, check=True, timeout=300, capture_output=True)
    assert reference.done["steps"] == 20
    for parts in (1, 2, 4):
        run = Run(runs / str(parts) / reference.directory.name)
        assert (run.done["workers"], run.done["micro_batches"]) == (workers, parts)
        same_weights(run, reference, atol=2e-5)
        assert len(run.history()) == len(reference.history())


def die_at(step: int) -> None:
    """SIGKILL as the masks of a step are drawn: on a busy machine another process would come too late."""
    sample = MaskSampler.sample

    def deadly(self, seed, at, rows):
        if at == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return sample(self, seed, at, rows)

    MaskSampler.sample = deadly


if __name__ == "__main__":
    if "DIE_AT" in os.environ:
        die_at(int(os.environ["DIE_AT"]))
    runs, save_seconds, *parts = [*sys.argv[1:], "60"][: max(2, len(sys.argv) - 1)]
    for count in map(int, parts):
        train_small(f"{runs}/{count}", SPREAD, micro_batches=count)
    if not parts:
        print(train_small(runs, save_seconds=float(save_seconds)).directory)
