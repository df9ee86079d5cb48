"""Images/s of a pretraining step, ours beside others', and its share of the matmul rate, for each ratio and width.

    python benchmarks/pretraining.py [--preset laptop] [--device cuda] [--steps 20] [--set heads=2 ...]
    python benchmarks/pretraining.py --ratios 0.75 --wider 1 2 4     # times the width, and times the heads
    python benchmarks/pretraining.py --facebook PATH      # a checkout of facebookresearch/mae, timed beside them

A step is masks, forward, backward and AdamW (fused for all; bf16 on a GPU). The models take a step in turn and the
fastest counts; on one CPU thread by the time of that thread, so that other work on the machine hardly counts. Rate and
share count the products of matrices in a step, those inside attention among them, against a square product timed in
between. `loading` is how fast batches are drawn from resident images.
`--compile` compiles our blocks. `--out results/speed.json` keeps the figures for the book.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import timm.models.vision_transformer as timm_vit
import torch
from record import record, table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from mae_lib.command_line import setting
from mae_lib.devices import best_device
from mae_lib.presets import load_preset
from mae_lib.training import PretrainConfig
from mae_lib.training.batches import mae_batches
from mae_lib.training.engine import adamw
from mae_lib.training.hardware import Hardware, apply_memory_options


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


def facebook_mae(config: PretrainConfig, checkout: Path) -> nn.Module:
    """The authors' model of the same sizes, from their source; written for timm 0.3 and numpy before 1.24."""
    if not (checkout / "models_mae.py").is_file():
        raise ValueError(f"{checkout} holds no models_mae.py: give a checkout of facebookresearch/mae")
    block = timm_vit.Block
    vars(np).setdefault("float", float)
    timm_vit.Block = lambda *sizes, qk_scale=None, **options: block(*sizes, **options)  # an argument that timm dropped
    sys.path.insert(0, str(checkout))
    try:
        from models_mae import MaskedAutoencoderViT
    finally:
        timm_vit.Block = block
        sys.path.remove(str(checkout))
    return MaskedAutoencoderViT(
        img_size=config.image_size,
        patch_size=config.patch,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        decoder_embed_dim=config.decoder_width,
        decoder_depth=config.decoder_depth,
        decoder_num_heads=config.decoder_heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        norm_pix_loss=config.norm_pixels,
    ).train()


def stepper(
    model: nn.Module, config: PretrainConfig, loss_of: Callable[[], torch.Tensor], device: torch.device
) -> Callable[[], None]:
    optimiser = adamw(model, config.schedule())
    autocast = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()

    def step() -> None:
        with autocast:
            loss = loss_of()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def fastest(works: list[Callable[[], object]], rounds: int, device: torch.device) -> list[float]:
    """Seconds of the fastest call of each, taken in turn."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    # One thread's own time, which other work on the machine does not lengthen.
    own = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if own else time.perf_counter
    best = [float("inf")] * len(works)
    for turn in range(rounds + 2):
        for n, work in enumerate(works):
            wait()
            begun = clock()
            work()
            wait()
            if turn > 1:  # the first two warm up
                best[n] = min(best[n], clock() - begun)
    return best


def flops_of(work: Callable[[], object]) -> int:
    """Of the products of matrices in `work`, two for each multiplication and addition.

    torch's counter knows attention's kernels on a GPU alone; on a CPU they do the same products.
    """
    aten = torch.ops.aten
    on_cpu = {  # shapes of the query, the key and the value; the backward pass has its gradient's before them
        aten._scaled_dot_product_flash_attention_for_cpu: lambda *shapes, **_: sdpa_flop_count(*shapes[:3]),
        aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda *shapes, **_: sdpa_backward_flop_count(
            *shapes[:4]
        ),
    }
    with FlopCounterMode(display=False, custom_mapping=on_cpu) as counter:
        work()
    return counter.get_total_flops()


def rounded(speed: float) -> float:
    """To a whole number, or three digits of a small one, so that what is close still differs."""
    return round(speed) if speed >= 100 else float(f"{speed:.3g}")


def wider(config: PretrainConfig, times: int) -> PretrainConfig:
    """So many times as wide, by as many times the heads."""
    names = ("width", "heads", "decoder_width", "decoder_heads")
    return replace(config, **{name: times * getattr(config, name) for name in names})


def matmul(device: torch.device) -> tuple[Callable[[], object], int]:
    """A large product in the precision of training, and its FLOPs."""
    side = 8192 if device.type == "cuda" else 1024
    square = torch.rand(side, side, device=device, dtype=torch.bfloat16 if device.type == "cuda" else None)
    return lambda: square @ square, 2 * side**3


def compare(config: PretrainConfig, arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """A row of the table."""
    shape, rows = (3, config.image_size, config.image_size), torch.arange(config.batch)
    images, masks = torch.rand(config.batch, *shape, device=device), config.masks()
    resident = torch.randint(256, (4 * config.batch, *shape), dtype=torch.uint8)
    batch_of = mae_batches(replace(config, unique_images=len(resident)), resident, device)
    ours, theirs = config.model().to(device).train(), vit_mae(config).to(device)
    apply_memory_options(ours, Hardware(compiled=arguments.compile))
    square, flops = matmul(device)
    works = {
        "ours": stepper(ours, config, lambda: ours(images, masks.sample(0, 0, rows)).loss, device),
        "ViTMAE": stepper(theirs, config, lambda: theirs(images).loss, device),
        "loading": lambda: batch_of(0, rows),
        "matmul": square,
    }
    if arguments.facebook:
        authors = facebook_mae(config, arguments.facebook).to(device)
        works["facebook"] = stepper(authors, config, lambda: authors(images, config.mask_ratio)[0], device)
    times = dict(zip(works, fastest(list(works.values()), arguments.steps, device)))
    needed = flops_of(lambda: ours(images, masks.sample(0, 0, rows)).loss.backward())
    rate, peak = needed / times["ours"], flops / times["matmul"]
    speeds = {f"{name}, images/s": rounded(config.batch / times[name]) for name in works if name != "matmul"}
    times_theirs = {f"times {name}": times[name] / times["ours"] for name in ("ViTMAE", "facebook") if name in works}
    shares = {"GFLOP/s": rate / 1e9, "matmul, GFLOP/s": peak / 1e9, "share": rate / peak}
    return {"ratio": config.mask_ratio, "width": config.width, **speeds, **times_theirs, **shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--ratios", type=float, nargs="+", help="(default: the preset's)")
    parser.add_argument("--wider", type=int, nargs="+", default=[1], metavar="TIMES", help="times the preset's width")
    parser.add_argument("--compile", action="store_true", help="compile our blocks")
    parser.add_argument("--facebook", type=Path, metavar="PATH", help="a checkout of facebookresearch/mae")
    parser.add_argument("--set", type=setting, action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, help="keep the figures in this JSON file, e.g. results/speed.json")
    parser.add_argument("--section", default="step", help="their name there (default: step)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    device, preset, settings = best_device(arguments.device), load_preset(arguments.preset), dict(arguments.settings)
    print(f"{arguments.preset} on {device.type}, {arguments.threads} CPU thread(s), fastest of {arguments.steps} steps")
    rows = []
    for ratio, times in product(arguments.ratios or preset["mask_ratios"], arguments.wider):
        config = PretrainConfig.from_scale(preset["scale"], mask_ratio=ratio, **settings)
        rows.append(compare(wider(config, times), arguments, device))
        print(table(rows[-1:]), flush=True)
    about = {"preset": arguments.preset, "settings": settings, "device": device.type, "threads": arguments.threads}
    record(arguments.out, arguments.section, rows, about | {"steps": arguments.steps, "compiled": arguments.compile})


if __name__ == "__main__":
    main()
