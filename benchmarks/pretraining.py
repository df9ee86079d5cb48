"""Images/s of a pretraining step beside transformers' ViTMAE, and its share of the matmul rate, for each mask ratio.

    python benchmarks/pretraining.py [--preset laptop] [--threads 1] [--steps 20] [--set heads=2 ...]

A step is masks, forward, backward and AdamW (fused for both). Each model takes a step in turn and the fastest counts,
so that other work on the machine weighs on both alike. Rate and share count the products of matrices that a step
needs (forward once, backward twice; those inside attention are left out, as torch's counter does on a CPU),
against a 1024 x 1024 product timed in between.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from mae_lib.__main__ import setting
from mae_lib.presets import load_preset
from mae_lib.training import PretrainConfig
from mae_lib.training.engine import adamw

CPU = torch.device("cpu")


def vit_mae(config: PretrainConfig) -> nn.Module:
    """transformers' model of the same sizes, with the attention it chooses by itself."""
    return ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.width,
            layer_norm_eps=1e-6,
            image_size=config.image_size,
            patch_size=config.patch,
            decoder_hidden_size=config.decoder_width,
            decoder_num_hidden_layers=config.decoder_depth,
            decoder_num_attention_heads=config.decoder_heads,
            decoder_intermediate_size=4 * config.decoder_width,
            mask_ratio=config.mask_ratio,
            norm_pix_loss=config.norm_pixels,
        )
    ).train()


def stepper(model: nn.Module, config: PretrainConfig, loss_of: Callable[[], torch.Tensor]) -> Callable[[], None]:
    optimiser = adamw(model, config.schedule(), CPU)

    def step() -> None:
        loss_of().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def fastest(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of the fastest call of each, taken in turn."""
    best = [float("inf")] * len(works)
    for turn in range(rounds + 2):
        for n, work in enumerate(works):
            begun = time.perf_counter()
            work()
            if turn > 1:  # the first two warm up
                best[n] = min(best[n], time.perf_counter() - begun)
    return best


def compare(config: PretrainConfig, rounds: int) -> tuple[float, float, float, float]:
    """Images/s of ours and of ViTMAE, FLOP/s of ours, and FLOP/s of a large product."""
    images, rows = torch.rand(config.batch, 3, config.image_size, config.image_size), torch.arange(config.batch)
    ours, theirs, masks = config.model(), vit_mae(config), config.masks()
    square = torch.rand(1024, 1024)
    times = fastest(
        [
            stepper(ours, config, lambda: ours(images, masks.sample(0, 0, rows)).loss),
            stepper(theirs, config, lambda: theirs(images).loss),
            lambda: square @ square,
        ],
        rounds,
    )
    with FlopCounterMode(display=False) as counter:
        ours(images, masks.sample(0, 0, rows)).loss.backward()
    return (
        config.batch / times[0],
        config.batch / times[1],
        counter.get_total_flops() / times[0],
        2 * 1024**3 / times[2],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--set", type=setting, action="append", default=[], dest="settings", metavar="NAME=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    preset = load_preset(arguments.preset)
    print(f"{arguments.preset}, {arguments.threads} CPU thread(s), fastest of {arguments.steps} steps")
    print(f"{'ratio':>5} {'ours':>7} {'ViTMAE':>7} {'times':>6} {'GFLOP/s':>8} {'matmul':>7} {'share':>6}")
    for ratio in preset["mask_ratios"]:
        config = PretrainConfig.from_scale(preset["scale"], mask_ratio=ratio, **dict(arguments.settings))
        ours, theirs, rate, peak = compare(config, arguments.steps)
        numbers = (
            f"{ours:7.0f} {theirs:7.0f} {ours / theirs:6.2f} {rate / 1e9:8.1f} {peak / 1e9:7.1f} {rate / peak:6.0%}"
        )
        print(f"{ratio:5} {numbers}", flush=True)


if __name__ == "__main__":
    main()
