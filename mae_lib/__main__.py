"""The command line: `python -m mae_lib SUBCOMMAND`. Each subcommand is a file of mae_lib/commands."""

import argparse
import sys

from mae_lib.commands import (
    book,
    crate,
    detect,
    drawings,
    editions,
    evaluate,
    execute,
    import_model,
    launch,
    locate,
    pack,
    pdf,
    pretrain,
    readers,
    series,
    slides,
    suggestions,
    zip_book,
)

SUBCOMMANDS = (
    *(locate, pretrain, pack, drawings, import_model, evaluate, readers, series, detect, suggestions),
    *(execute, book, pdf, zip_book, crate, editions, slides, launch),
)


_TRAINING = ("pretrain", "series", "detect", "suggestions")


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; the exit status is 2 after an error, which takes one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m mae_lib", description="Understanding masked autoencoders, run.")
    commands = parser.add_subparsers(required=True, metavar="SUBCOMMAND", dest="command")
    for subcommand in SUBCOMMANDS:
        subcommand.add(commands)
    arguments = parser.parse_args(argv)
    try:
        _note_device(arguments)
        arguments.run(arguments)
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"{parser.prog}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _note_device(arguments: argparse.Namespace) -> None:
    """Say on stderr that a preset for GPUs is to be trained on a CPU: nothing is wrong but the time it takes."""
    if getattr(arguments, "preset", None) not in ("gpu", "paper", "paper8") or arguments.command not in _TRAINING:
        return
    from mae_lib.training.engine import best_device

    if best_device(arguments.device).type == "cpu":
        text = f"the preset {arguments.preset} is meant for GPUs, and this runs on the CPU: it will take long"
        print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
