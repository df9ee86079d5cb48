"""detect: Section 3.5, detectors fine-tuned from a preset's encoders."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_device, add_easing, add_preset, add_seeds, easing_of
from mae_lib.presets import load_preset, parse_yaml


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "detect",
        help="fine-tune detectors from a preset's encoders (Section 3.5), score them, and publish it in a folder",
        description="Fine-tune Mask R-CNN from every encoder of a preset and from scratch, and print box and mask AP. "
        "Encoders that are not there are trained. What is finished is never done again. Needs mae_lib[detection]. "
        "Several GPUs: torchrun --nproc-per-node 8 -m mae_lib detect --preset paper --mask-ratio 0.75 --unit 16",
    )
    add_preset(parser)
    parser.add_argument("--out", type=Path, help="the folder, for example results/gpu (default: none is written)")
    add_seeds(parser)
    parser.add_argument("--mask-ratio", type=float, help="of one encoder alone, with --unit")
    parser.add_argument("--unit", type=int, help="of one encoder alone, in pixels (default: the preset's)")
    parser.add_argument("--scratch", action="store_true", help="from scratch alone")
    parser.add_argument("--coco", help="COCO's folder, where the preset takes it (default: $MAE_LIB_COCO)")
    parser.add_argument("--workers", type=int, default=0, help="threads that load images ahead (default: 0)")
    add_easing(parser)
    add_device(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.publish_detection import publish_detection
    from mae_lib.training.engine import best_device

    preset = load_preset(arguments.preset)
    seeds = preset["seeds"] if arguments.seeds is None else parse_yaml(arguments.seeds, "--seeds")
    only = [("untrained", seed) for seed in seeds] if arguments.scratch else []
    if arguments.mask_ratio is not None:
        unit = preset["scale"]["unit"] if arguments.unit is None else arguments.unit
        only += [(arguments.mask_ratio, unit, seed) for seed in seeds]
    options = {"folder": arguments.coco, "workers": arguments.workers} | easing_of(arguments)
    device = str(best_device(arguments.device))
    publish_detection(arguments.preset, arguments.out, seeds, device, only or None, **options)
