"""pdf: the whole book as one file to print."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_preset, add_runs
from mae_lib.folders import checkout
from mae_lib.presets import preset_word


def add(commands: Any) -> None:
    parser = commands.add_parser("pdf", help="print the whole book as one PDF; needs Chromium or Chrome")
    add_preset(parser)
    add_runs(parser)
    parser.add_argument("--out", type=Path, default=Path("book/_build/book.pdf"), help="(default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.book import BookError
    from mae_lib.reporting.pdf import make_pdf

    try:
        print(
            make_pdf(
                checkout() or Path.cwd(),
                preset_word(arguments.preset),
                arguments.runs.resolve(),
                arguments.out.resolve(),
            )
        )
    except BookError as error:
        sys.exit(str(error))
