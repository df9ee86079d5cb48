"""slides: the lectures, from executed notebooks."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_preset, add_runs
from mae_lib.presets import preset_word


def add(commands: Any) -> None:
    parser = commands.add_parser("slides", help="write the slides of the lectures from executed notebooks")
    add_preset(parser)
    add_runs(parser)
    parser.add_argument("--out", type=Path, default=Path("slides"), help="the folder (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.teaching.slides import write_slides

    print(*write_slides(arguments.out, arguments.runs / "notebooks" / preset_word(arguments.preset)), sep="\n")
