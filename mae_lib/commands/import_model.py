"""import: a run made of a checkpoint that others released."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_preset, add_runs, add_settings, settings_of
from mae_lib.presets import load_preset


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "import",
        help="make a run of a released checkpoint: facebookresearch/mae's or timm's",
        description="Make a run of a checkpoint that others released (.pth or .safetensors), with a preset that names "
        "it, which every command and notebook takes.",
    )
    parser.add_argument("path", type=Path, help="e.g. mae_pretrain_vit_base.pth, or timm:vit_base_patch16_224.mae")
    add_preset(parser, default="paper")
    add_runs(parser)
    add_settings(parser, example="norm_pixels=false")
    parser.set_defaults(run=run)


def imported(path: Path, arguments: argparse.Namespace, settings: dict[str, Any]) -> Any:
    """The run made of the checkpoint `path`, with the arguments' preset and folder of runs, and these settings."""
    from mae_lib.training.released import import_model

    scale = load_preset(arguments.preset)["scale"]
    return import_model(path, scale, arguments.runs, **settings)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.training.released import preset_of

    scale = load_preset(arguments.preset)["scale"]
    made = imported(arguments.path, arguments, settings_of(arguments.settings, scale))
    print(f"{made.directory}: {'encoder and decoder' if made.done['decoder'] else 'encoder only'}")
    print(f"its preset: python -m mae_lib execute notebooks/3_2_attention.ipynb out.ipynb --preset {preset_of(made)}")
