"""series: all of Section 3 at a preset, published in a folder."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_device, add_preset, add_seeds


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "series",
        help="train and measure all of Section 3 at a preset, and publish it in a folder",
        description="Train every mask of a preset, measure all sections, and write tables, encoders and provenance. "
        "What stands in the folder is never done again: the same command goes on after a kill, or after --minutes.",
    )
    add_preset(parser)
    parser.add_argument("--out", type=Path, required=True, help="the folder, for example results/gpu")
    add_seeds(parser)
    parser.add_argument("--jobs", type=int, default=1, help="processes that work at once (default: 1)")
    add_device(parser)
    parser.add_argument("--ship", type=int, default=1, help="seeds whose encoders the folder holds (default: 1)")
    parser.add_argument("--minutes", type=float, help="begin no part after about this time (default: work to the end)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.publish import publish

    names = ("preset", "out", "seeds", "jobs", "device", "ship", "minutes")
    print(publish(**{name: getattr(arguments, name) for name in names}))
