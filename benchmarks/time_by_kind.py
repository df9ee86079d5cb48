"""What a pretraining step spends its time on, by kind of operation: what limits it.

    python benchmarks/time_by_kind.py [--preset laptop] [--device cuda] [--ratio 0.75] [--set width=768 ...]

torch's profiler, over some steps. On a CPU the time is that of each operation by itself; on a GPU that of its kernels,
and `waiting` is what is left of the wall time: a GPU that waits for its next kernel is limited by the host.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import torch
from pretraining import stepper
from record import record, table
from torch.profiler import ProfilerActivity, profile

from mae_lib.command_line import setting
from mae_lib.devices import best_device
from mae_lib.presets import load_preset
from mae_lib.training import PretrainConfig

KINDS = {  # the first that fits, by a part of an operation's or kernel's name
    "attention": ("scaled_dot_product", "flash", "fmha", "efficient_attention"),
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "gemm", "cutlass", "nvjet", "xmma"),
    "GELU": ("gelu", "Gelu"),
    "layer norm": ("layer_norm", "LayerNorm"),
    "optimiser": ("adam", "Adam", "Optimizer"),
    "copies, indices and concatenation": (
        "copy",
        "index",
        "cat",
        "Cat",
        "gather",
        "scatter",
        "fill",
        "Memset",
        "Memcpy",
    ),
    "sums, additions and other elementwise": ("add", "sum", "mul", "div", "sub", "var", "mean", "pow", "elementwise"),
}
REST = "views, bookkeeping and the rest"


def kind(name: str) -> str:
    return next((one for one, parts in KINDS.items() if any(part in name for part in parts)), REST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ratio", type=float, default=0.75)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--set", type=setting, action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, help="keep the figures in this JSON file, e.g. results/speed.json")
    parser.add_argument("--section", default="kinds", help="their name there (default: kinds)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    device, scale = best_device(arguments.device), load_preset(arguments.preset)["scale"]
    config = PretrainConfig.from_scale(scale, mask_ratio=arguments.ratio, **dict(arguments.settings))
    model, masks, rows = config.model().to(device).train(), config.masks(), torch.arange(config.batch)
    images = torch.rand(config.batch, 3, config.image_size, config.image_size, device=device)
    step = stepper(model, config, lambda: model(images, masks.sample(0, 0, rows)).loss, device)
    on_gpu = device.type == "cuda"
    for _ in range(3):
        step()
    begun = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as trace:
        for _ in range(arguments.steps):
            step()
        if on_gpu:
            torch.cuda.synchronize()
    wall = 1e6 * (time.perf_counter() - begun)  # microseconds, as the profiler's
    spent: Counter = Counter()
    for event in trace.key_averages():
        spent[kind(event.key)] += event.self_device_time_total if on_gpu else event.self_cpu_time_total
    if on_gpu:
        spent["waiting"] = max(0, wall - spent.total())
    whole = spent.total()
    found = [{"kind": name, "share": round(time / whole, 3)} for name, time in spent.most_common()]
    print(f"{arguments.preset} on {device.type}, ratio {arguments.ratio}, {arguments.steps} steps\n{table(found)}")
    about = {"preset": arguments.preset, "settings": dict(arguments.settings), "ratio": arguments.ratio}
    record(arguments.out, arguments.section, found, about | {"device": device.type, "steps": arguments.steps})


if __name__ == "__main__":
    main()
