"""crate: a published run described as an RO-Crate."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    parser = commands.add_parser("crate", help="describe a folder of published results as an RO-Crate, in the folder")
    parser.add_argument("folder", type=Path, help="for example results/longer")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.ro_crate import write_crate

    print(write_crate(arguments.folder.resolve()))
