"""execute: a notebook with a preset and other parameters."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_preset
from mae_lib.presets import parse_yaml


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "execute",
        help="run a notebook with a preset and other parameters",
        description="Run a notebook. Unknown or mistyped parameters are refused before anything runs, and the output "
        "appears when every cell has passed. What a notebook takes: papermill --help-notebook NOTEBOOK",
    )
    parser.add_argument("notebook", type=Path, help="for example notebooks/3_1_reconstruction.ipynb")
    parser.add_argument("output", type=Path, help="the executed notebook")
    add_preset(parser)
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        dest="parameters",
        help="a parameter, its value read as YAML; wins over the preset; may be repeated",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.notebooks import execute

    given = {name: parse_yaml(value, f"parameter {name}") for name, value in arguments.parameters}
    print(execute(arguments.notebook, arguments.output, arguments.preset, given))
