"""drawings: the pack of drawings by eight hands, built once."""

import argparse
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_quiet


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "drawings",
        help="build the pack of drawings that the world `drawings` takes its images from",
        description="Fetch five packages of emoji by npm, or take them from --from, draw the concepts that all eight "
        "hands share, and print whose work it is. Needs mae_lib[drawings].",
    )
    parser.add_argument("--from", nargs="+", type=Path, default=[], dest="given", help="tarballs or folders instead")
    parser.add_argument("--out", type=Path, help="the folder (default: $MAE_LIB_DRAWINGS, else drawings/ in the runs)")
    parser.add_argument("--size", type=int, default=72, help="side of a drawing in pixels (default: 72)")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.worlds.drawing_builder import attribution, build
    from mae_lib.worlds.drawing_pack import pack_folder

    out = pack_folder() if arguments.out is None else arguments.out
    about = build(out, arguments.given, arguments.size, progress=not arguments.quiet)
    print(f"{out}: {len(about['concepts']):,} concepts by {len(about['hands'])} hands, {about['digest']}")
    print(attribution(about))
