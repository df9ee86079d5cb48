"""editions: the book's notebooks for students and instructors."""

import argparse
from itertools import chain
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_preset, add_runs


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "editions",
        help="write the reader's, the student's and the instructor's notebooks, and a course for nbgrader",
        description="Write the editions from the notebooks of the book. --check runs every coding exercise instead: "
        "its solution must pass its check, and a stub and `return None` must fail it with a reason; and has nbgrader "
        "release every assignment.",
    )
    parser.add_argument("--out", type=Path, default=Path("editions"), help="the folder (default: %(default)s)")
    add_runs(parser)
    parser.add_argument("--check", action="store_true", help="run the exercises at --preset; write nothing")
    add_preset(parser, default="smoke")
    parser.add_argument("--only", default="", help="notebooks whose name holds this text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.teaching.course import course_trials
    from mae_lib.reporting.teaching.editions import write_editions
    from mae_lib.reporting.teaching.rehearsal import all_trials, rehearse

    if arguments.check:
        rehearse(chain(course_trials(arguments.only), all_trials(arguments.preset, arguments.only)))
    else:
        print(*write_editions(arguments.out, arguments.runs), sep="\n")
