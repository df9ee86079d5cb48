"""zip: the rendered book as an archive."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.folders import checkout


def add(commands: Any) -> None:
    parser = commands.add_parser("zip", help="pack the rendered book into an archive that opens from disk")
    parser.add_argument("--out", type=Path, default=Path("book/_build/book.zip"), help="(default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.archive import archive

    print(archive((checkout() or Path.cwd()) / "book" / "_build" / "html", arguments.out.resolve()))
