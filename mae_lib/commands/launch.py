"""launch: the book's notebooks as hosted services open them."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "launch",
        help="write the notebooks that hosted services open",
        description="Write the book's notebooks, each behind a cell that installs the package on Colab from the "
        "repository of CITATION.cff or $MAE_LIB_REPOSITORY. A workflow keeps them on the branch `launch`.",
    )
    parser.add_argument("--out", type=Path, default=Path("launch"), help="the folder (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.pages.repository import write_launch

    print(write_launch(arguments.out))
