"""The book's command line: `python -m maebook SUBCOMMAND`."""

import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from mae_lib.command_line import RUNS, Command, Given, option, preset_option, run, switch
from mae_lib.folders import checkout
from mae_lib.presets import parse_yaml, preset_word

PRESET = preset_option("book")


def _root() -> Path:
    return checkout() or Path.cwd()


def execute(given: Given) -> None:
    from maebook.execute import execute

    values = {name: parse_yaml(value, f"parameter {name}") for name, value in given.parameters}
    print(execute(given.notebook, given.output, given.preset, values))


def render(given: Given) -> None:
    from maebook.render import BookError, build

    try:
        print(build(_root(), preset_word(given.preset), given.runs.resolve()))
    except BookError as error:  # Sphinx's log is worth more than one line
        sys.exit(str(error))


def pdf(given: Given) -> None:
    from maebook.pdf import make_pdf

    _whole(given, make_pdf)


def epub(given: Given) -> None:
    from maebook.epub import make_epub

    _whole(given, make_epub)


def _whole(given: Given, make: Callable[[Path, str, Path, Path], Path]) -> None:
    """The whole book as one file."""
    from maebook.render import BookError

    try:
        print(make(_root(), preset_word(given.preset), given.runs.resolve(), given.out.resolve()))
    except BookError as error:
        sys.exit(str(error))


def pack(given: Given) -> None:
    from maebook.archive import archive

    print(archive(_root() / "book" / "_build" / "html", given.out.resolve()))


def editions(given: Given) -> None:
    from maebook.teaching.check_exercises import all_trials, rehearse
    from maebook.teaching.course import course_trials
    from maebook.teaching.editions import write_editions

    if given.check:
        rehearse(chain(course_trials(given.only), all_trials(given.preset, given.only)))
    else:
        print(*write_editions(given.out, given.runs), sep="\n")


def slides(given: Given) -> None:
    from maebook.teaching.slides import write_slides

    print(*write_slides(given.out, given.runs / "notebooks" / preset_word(given.preset)), sep="\n")


def launch(given: Given) -> None:
    from maebook.sphinx.repository import write_launch

    print(write_launch(given.out))


def _out(default: str, meant: str = "") -> tuple:
    return option("--out", type=Path, default=Path(default), help=f"{meant}(default: %(default)s)")


COMMANDS = {
    "execute": Command(
        execute,
        "run a notebook with a preset and other parameters",
        "Run a notebook. Unknown or mistyped parameters are refused before anything runs, and the output "
        "appears when every cell has passed. What a notebook takes: papermill --help-notebook NOTEBOOK",
        (
            option("notebook", type=Path, help="for example notebooks/3_1_reconstruction.ipynb"),
            option("output", type=Path, help="the executed notebook"),
            PRESET,
            option(
                "-p",
                nargs=2,
                action="append",
                default=[],
                metavar=("NAME", "VALUE"),
                dest="parameters",
                help="a parameter, its value read as YAML; wins over the preset; may be repeated",
            ),
        ),
    ),
    "render": Command(render, "render the book from notebooks that were executed at a preset", "", (PRESET, RUNS)),
    "pdf": Command(
        pdf,
        "print the whole book as one PDF; needs Chromium or Chrome",
        "",
        (PRESET, RUNS, _out("book/_build/book.pdf")),
    ),
    "epub": Command(
        epub,
        "write the whole book as an e-book, an EPUB; needs Chromium or Chrome",
        "",
        (PRESET, RUNS, _out("book/_build/book.epub")),
    ),
    "zip": Command(
        pack, "pack the rendered book into an archive that opens from disk", "", (_out("book/_build/book.zip"),)
    ),
    "editions": Command(
        editions,
        "write the reader's, the student's and the instructor's notebooks, and a course for nbgrader",
        "Write the editions from the notebooks of the book. --check runs every coding exercise instead: "
        "its solution must pass its check, and a stub and `return None` must fail it with a reason; and has nbgrader "
        "release every assignment.",
        (
            _out("editions", "the folder "),
            RUNS,
            switch("--check", "run the exercises at --preset; write nothing"),
            preset_option("smoke"),
            option("--only", default="", help="notebooks whose name holds this text"),
        ),
    ),
    "slides": Command(
        slides,
        "write the slides of the lectures from executed notebooks",
        "",
        (PRESET, RUNS, _out("slides", "the folder ")),
    ),
    "launch": Command(
        launch,
        "write the notebooks that hosted services open",
        "Write the book's notebooks, each behind a cell that installs the package on Colab from the "
        "repository of CITATION.cff or $MAE_LIB_REPOSITORY. A workflow keeps them on the branch `launch`.",
        (_out("launch", "the folder "),),
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand of `COMMANDS`."""
    return run("python -m maebook", "The book: its notebooks executed, its pages rendered.", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
