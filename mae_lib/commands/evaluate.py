"""evaluate: attention and Tables 1 and 2 for one model on ImageNet."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import (
    add_device,
    add_mask,
    add_preset,
    add_quiet,
    add_runs,
    add_settings,
    mask_of,
    settings_of,
)
from mae_lib.commands.import_model import imported
from mae_lib.presets import load_preset
from mae_lib.typed import typed


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="attention, linear probe, Table 1's sets and shape bias of one model on ImageNet",
        description="Draw and score the attention of a finished run or a released checkpoint, train the linear probe "
        "on it, and score that on every set that is here. Several GPUs: torchrun --nproc-per-node 8 -m mae_lib "
        "evaluate ...",
    )
    parser.add_argument("--model", type=Path, help="a released checkpoint, or timm:NAME; instead of a run")
    add_mask(parser, of=" of the run")
    add_preset(parser, default="paper")
    add_settings(parser, example="norm_pixels=false")
    add_runs(parser)
    add_device(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.evaluation.evaluate import described, evaluate
    from mae_lib.training import PretrainConfig, find

    scale = load_preset(arguments.preset)["scale"]
    settings = settings_of(arguments.settings, scale)
    scale |= settings
    probe_images = typed("probe_images", scale.get("probe_images"), int)
    settings.pop("probe_images", None)
    if arguments.model:
        found = imported(arguments.model, arguments, settings)
        config = replace(found.config, world_options=scale.get("world_options", {}))
    else:
        config = PretrainConfig.from_scale(scale, **mask_of(arguments) | settings)
        found = find(config, arguments.runs)
        if found is None:
            raise ValueError(f"{config.name} has not been trained in {arguments.runs}: python -m mae_lib pretrain does")
    # The files' fingerprints alone tell runs apart, so one may have been trained with other options of its world.
    scores = evaluate(found, probe_images, arguments.device, not arguments.quiet, config.make_world())
    if scores:
        print(f"{found.directory}\n{described(scores)}")
