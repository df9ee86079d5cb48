"""Images/s of small models that train together, as one batched model, against one after another.

    python benchmarks/together.py --preset gpu --device cuda --seeds 1 2 5 [--compile]

Both ways take their batches and masks, step AdamW and clip, in turn; the fastest of each counts. Together pays where
one model leaves a card idle; on a CPU, which one model keeps busy, it is no faster, and attention there has no batched
kernel.
"""

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from pretraining import fastest
from record import record, table
from torch import nn

from mae_lib.commands.arguments import setting
from mae_lib.presets import load_preset
from mae_lib.training import PretrainConfig
from mae_lib.training.batches import mae_batches
from mae_lib.training.engine import adamw, adamw_of, best_device
from mae_lib.training.together import Stack


def measure(configs: list[PretrainConfig], device: torch.device, steps: int, compiled: bool) -> dict:
    """One row: images/s of all models, apart and together."""
    config, rows = configs[0], torch.arange(configs[0].batch)
    shape = (4 * config.batch, 3, config.image_size, config.image_size)
    images = torch.randint(256, shape, dtype=torch.uint8)
    batches = [mae_batches(replace(one, unique_images=len(images)), images, device) for one in configs]
    models = [one.model().to(device).train() for one in configs]
    stack = Stack(models, compiled)
    own = [adamw(model, config.schedule(), device) for model in models]
    joint = adamw_of(stack.parameters, config.schedule(), device, stacked=True)

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")

    def apart() -> None:
        for model, optimiser, batch_of in zip(models, own, batches):
            with autocast():
                loss = model(*batch_of(0, rows)).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def together() -> None:
        with autocast():
            losses = stack.losses([batch_of(0, rows) for batch_of in batches])
        losses.sum().backward()
        stack.clip(1.0)
        joint.step()
        joint.zero_grad(set_to_none=True)

    one_by_one, at_once = fastest([apart, together], steps, device)
    total = len(configs) * config.batch
    speeds = {"apart, images/s": round(total / one_by_one), "together, images/s": round(total / at_once)}
    return {"models": len(configs), **speeds, "times": one_by_one / at_once}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ratio", type=float, default=0.75)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 5], help="how many models (default: 1 2 5)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--set", type=setting, action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, help="keep the figures in this JSON file, e.g. results/speed.json")
    parser.add_argument("--section", default="together", help="their name there (default: together)")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", "There is a performance drop")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    device, scale = best_device(arguments.device), load_preset(arguments.preset)["scale"]
    rows = []
    for count in arguments.seeds:
        settings = {"mask_ratio": arguments.ratio} | dict(arguments.settings)
        configs = [PretrainConfig.from_scale(scale, seed=seed, **settings) for seed in range(count)]
        rows.append(measure(configs, device, arguments.steps, arguments.compile))
        print(table(rows[-1:]), flush=True)
    about = {"preset": arguments.preset, "settings": dict(arguments.settings), "ratio": arguments.ratio}
    about |= {"device": device.type, "steps": arguments.steps, "compiled": arguments.compile, "threads": 1}
    record(arguments.out, arguments.section, rows, about)


if __name__ == "__main__":
    main()
