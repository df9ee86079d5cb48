"""The command line: `python -m mae_lib SUBCOMMAND`. Each subcommand is a file of mae_lib/commands."""

import argparse
import sys

from mae_lib.commands import (
    book,
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
    *(execute, book, pdf, zip_book, editions, slides, launch),
)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; the exit status is 2 after an error, which takes one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m mae_lib", description="Understanding masked autoencoders, run.")
    commands = parser.add_subparsers(required=True, metavar="SUBCOMMAND")
    for subcommand in SUBCOMMANDS:
        subcommand.add(commands)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"{parser.prog}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
