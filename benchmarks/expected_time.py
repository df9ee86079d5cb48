"""How long the paper's pretraining, probe and detectors take, computed from their FLOPs: nothing here is measured.

    python benchmarks/expected_time.py [--preset paper] [--set patch=8 ...] [--peak 989] [--share 0.35] [--scaling 0.9]

FLOPs are counted on torch's meta device, attention's products among them, forward once and backward twice; the probe
goes forward alone, over whole images. Of a probe's or a detector's encoder the blocks are counted, by a formula, and no
head. A card does `share` of its `peak` (dense bf16, TFLOP/s, from its data sheet: H100 SXM 989, A100 312); several do
`scaling` of what as many single ones would. The default share is that of the fastest published MAE pretraining that we
know: 1,980 images/s of ViT-B/16 on an A100 (DailyMAE, arXiv 2404.00509).
"""

import argparse

import torch
from torch.utils.flop_counter import FlopCounterMode

from mae_lib.command_line import setting
from mae_lib.imagenet.linear_probe import ProbeRecipe
from mae_lib.presets import load_preset
from mae_lib.training import PretrainConfig
from mae_lib.training.mae import split_mask

CARDS = (1, 8, 32)


def forward_flops(config: PretrainConfig) -> int:
    """FLOPs of the forward pass for one image, two for each multiplication and addition."""
    split = tuple(
        index.to("meta") for index in split_mask(config.masks().sample(0, 0, torch.arange(1)), config.masks().patches)
    )
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        config.model()(torch.empty(1, 3, config.image_size, config.image_size), split)
    return counter.get_total_flops()


def blocks_flops(tokens: int, width: int, attended: int) -> int:
    """FLOPs of one block of the encoder whose tokens attend to so many each."""
    return tokens * (24 * width**2 + 4 * width * attended)


def probe_flops(config: PretrainConfig) -> int:
    """FLOPs of the encoder's blocks for one whole image."""
    tokens = (config.image_size // config.patch) ** 2 + 1
    return config.depth * blocks_flops(tokens, config.width, tokens)


def detector_flops(config: PretrainConfig, size: int, window: int, global_blocks: list[int]) -> int:
    """The same for one image of `size` pixels, attention within windows but for some blocks."""
    grid = size // config.patch
    padded = -(-grid // window) * window  # windows reach over the edge
    whole = blocks_flops(grid**2, config.width, grid**2)
    windowed = blocks_flops(padded**2, config.width, window**2)
    return len(global_blocks) * whole + (config.depth - len(global_blocks)) * windowed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--peak", type=float, default=989, help="TFLOP/s of a card by its data sheet (default: H100)")
    parser.add_argument("--share", type=float, default=0.37, help="of the peak that training reaches (default: 0.37)")
    parser.add_argument(
        "--scaling", type=float, default=0.9, help="of several cards against single ones (default: 0.9)"
    )
    parser.add_argument("--set", type=setting, action="append", default=[], dest="settings", metavar="NAME=VALUE")
    arguments = parser.parse_args()
    # Sizes alone count here, so the world may be one that needs no files.
    scale, settings = load_preset(arguments.preset)["scale"], dict(arguments.settings)
    rate = arguments.peak * 1e12 * arguments.share
    print(
        f"{arguments.preset}, {arguments.peak:g} TFLOP/s x {arguments.share:g}; scaling {arguments.scaling:g}; computed"
    )
    print(f"{'ratio':>8} {'GFLOP forward':>14} {'images/s a card':>16}" + "".join(f"{n:>6} x" for n in CARDS))

    def row(name: object, flops: float, images: int, passes: int = 3) -> None:
        one = images * passes * flops / rate / 3600
        hours = [one / n / (arguments.scaling if n > 1 else 1) for n in CARDS]
        print(f"{name:>8} {flops / 1e9:14.1f} {rate / passes / flops:16.0f}" + "".join(f"{h:6.1f} h" for h in hours))

    for ratio in load_preset(arguments.preset)["mask_ratios"]:
        config = PretrainConfig.from_scale(scale | {"world": "figurines"}, **{"mask_ratio": ratio} | settings)
        row(ratio, forward_flops(config), config.images)
    row("probe", probe_flops(config), ProbeRecipe().epochs * scale["probe_images"], 1)
    sizes = scale["detection_sizes"]
    if "window" in sizes:
        flops = detector_flops(config, scale["detection_size"], sizes["window"], sizes["global_blocks"])
        row("detector", flops, scale["detection_images"])


if __name__ == "__main__":
    main()
