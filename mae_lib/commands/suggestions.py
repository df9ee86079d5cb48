"""suggestions: Section 3.6, what the paper suggests and does not test."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_device, add_preset, add_seeds


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "suggestions",
        help="train and measure what Section 3.6 suggests at a preset, and publish it in a folder",
        description="Train the masked autoencoder with each of the settings that Section 3.6 suggests, measure it, and "
        "write the scores, seed by seed, in two files for each suggestion. What is finished is never done again: the "
        "same command goes on after a kill.",
    )
    add_preset(parser)
    parser.add_argument("--out", type=Path, required=True, help="the folder, for example results/suggestions")
    parser.add_argument("--only", help="boundary, masks or extremes; what the folder holds of the others stays")
    add_seeds(parser)
    add_device(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.suggestions import publish_suggestions

    print(publish_suggestions(arguments.preset, arguments.out, arguments.seeds, arguments.device, arguments.only))
