"""pretrain: one masked autoencoder."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import (
    add_device,
    add_easing,
    add_mask,
    add_preset,
    add_quiet,
    add_runs,
    add_settings,
    easing_of,
    mask_of,
    settings_of,
)
from mae_lib.presets import load_preset


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "pretrain",
        help="pretrain a masked autoencoder, or find the run if it is already there",
        description="Pretrain a masked autoencoder on a world. A run that exists is found, an interrupted one goes on. "
        "Several GPUs: torchrun --nproc-per-node 4 -m mae_lib pretrain ...",
    )
    add_preset(parser)
    parser.add_argument("--folder", type=Path, help="a folder of your own images, instead of the preset's world")
    add_mask(parser, of="")
    add_device(parser)
    add_runs(parser)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    add_easing(parser)
    add_quiet(parser)
    add_settings(parser, example="width=128")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.training import PretrainConfig, pretrain
    from mae_lib.training.engine import rank_and_world

    scale = load_preset(arguments.preset)["scale"]
    settings = settings_of([*_of_folder(arguments.folder), *arguments.settings], scale)
    config = PretrainConfig.from_scale(scale, **mask_of(arguments) | settings)
    trained = pretrain(
        config,
        arguments.runs,
        arguments.device,
        progress=not arguments.quiet,
        cpu_threads=arguments.threads,
        **easing_of(arguments),
    )
    done = trained.done
    speed = f"{done['seconds']:.0f} s, {done['images_per_second']:.0f} images/s"
    print(f"{trained.directory}: loss {done['loss']:.5f}, {speed}")
    if config.world == "folder" and rank_and_world()[0] == 0:
        from mae_lib.evaluation.own_images import report

        print("\n".join(report(trained, config.make_world())))


def _of_folder(folder: Path | None) -> list[tuple[str, Any]]:
    """--folder as the settings that it is short for."""
    return [] if folder is None else [("world", "folder"), ("world_options.root", str(folder))]
