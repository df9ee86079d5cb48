"""book: the pages, rendered from executed notebooks."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_preset, add_runs
from mae_lib.folders import checkout
from mae_lib.presets import preset_word


def add(commands: Any) -> None:
    parser = commands.add_parser("book", help="render the book from notebooks that were executed at a preset")
    add_preset(parser)
    add_runs(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.book import BookError, build

    try:
        print(build(checkout() or Path.cwd(), preset_word(arguments.preset), arguments.runs.resolve()))
    except BookError as error:  # Sphinx's log is worth more than one line
        sys.exit(str(error))
