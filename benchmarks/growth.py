"""How a pretraining step grows with image size, patch, ratio and batch: FLOPs, speed and peak memory.

    python benchmarks/growth.py [--preset laptop] [--device cuda] [--steps 5] [--checkpoint-blocks]

Each row is a process of its own, whose peak memory is what it needed beyond a process that only imports (on a GPU, what
torch's allocator held at most).
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import torch
from pretraining import fastest, flops_of, stepper
from record import record, table

from mae_lib.devices import best_device
from mae_lib.presets import load_preset
from mae_lib.training import PretrainConfig
from mae_lib.training.hardware import Hardware, apply_memory_options

CHANGES = [
    {},
    {"mask_ratio": 0.1},
    {"mask_ratio": 0.9},
    {"image_size": 64},
    {"patch": 8},
    {"image_size": 64, "patch": 8},
    {"batch": 128},
]


def measure(preset: str, change: dict, device: torch.device, steps: int, checkpoint_blocks: bool) -> dict:
    """One row."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    config = PretrainConfig.from_scale(load_preset(preset)["scale"], **change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model, rows = config.model().to(device).train(), torch.arange(config.batch)
    apply_memory_options(model, Hardware(checkpoint_blocks=checkpoint_blocks))
    images = torch.rand(config.batch, 3, config.image_size, config.image_size, device=device)
    masks = config.masks()
    step = stepper(model, config, lambda: model(images, masks.sample(0, 0, rows)).loss, device)
    (seconds,) = fastest([step], steps, device)
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10  # ru_maxrss is in KiB on Linux
    sizes = {name: getattr(config, name) for name in ("image_size", "patch", "mask_ratio", "batch")}
    flops = flops_of(lambda: model(images, masks.sample(0, 0, rows)).loss.backward()) / config.batch / 1e9
    return sizes | {
        "tokens": config.masks().patches,
        "visible": config.masks().visible,
        "GFLOP an image": round(flops, 4),
        "images/s": round(config.batch / seconds),
        "GFLOP/s": round(flops * config.batch / seconds, 1),
        "peak MiB": round(memory),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--checkpoint-blocks", action="store_true", help="recompute blocks, to save memory")
    parser.add_argument("--out", type=Path, help="keep the figures in this JSON file, e.g. results/speed.json")
    parser.add_argument("--section", default="growth", help="their name there (default: growth)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        change, device = json.loads(arguments.one), best_device(arguments.device)
        print(json.dumps(measure(arguments.preset, change, device, arguments.steps, arguments.checkpoint_blocks)))
        return
    rows = []
    for change in CHANGES:
        command = [sys.executable, *sys.argv, "--one", json.dumps(change)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(table(rows[-1:]), flush=True)
    about = {"preset": arguments.preset, "device": arguments.device, "checkpoint_blocks": arguments.checkpoint_blocks}
    record(arguments.out, arguments.section, rows, about | {"steps": arguments.steps, "threads": 1})


if __name__ == "__main__":
    main()
