"""Building blocks of the command line: options as data, one function per subcommand, errors in one line."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mae_lib.folders import runs_folder
from mae_lib.presets import PRESETS, parse_yaml

Given = argparse.Namespace


class Option(NamedTuple):
    """One argument: its names, and its keyword arguments for argparse."""

    names: tuple[str, ...]
    about: dict[str, Any]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized"):
            asked = [word for word in message.split() if word.startswith("--") and "_" in word]
            message += f"; options have hyphens, {asked[0].replace('_', '-')}" if asked else ""
            message += "; --help lists the options; an argument that begins with - and is not an option goes after --"
        super().error(message)


class Command(NamedTuple):
    """A subcommand: its function, a line of help, a longer description and its options."""

    run: Callable[[Given], None]
    help: str
    description: str
    options: tuple[Option, ...]


def option(*names: str, **about: Any) -> Option:
    """An argument, as `argparse.ArgumentParser.add_argument` takes it."""
    return Option(names, about)


def switch(name: str, help: str) -> Option:
    """A flag without a value."""
    return Option((name,), {"action": "store_true", "help": help})


def preset_option(default: str = "laptop") -> Option:
    """--preset, a name or a file."""
    return option("--preset", default=default, help=f"{', '.join(PRESETS)}, or a YAML file (default: {default})")


RUNS = option("--runs", type=Path, help="folder of all runs (default: $MAE_LIB_RUNS, else runs/ of the checkout)")
DEVICE = option("--device", help="cpu, cuda or mps (default: the best that is there)")
QUIET = option("--quiet", action="store_false", dest="progress", help="no progress bar")


def run(program: str, about: str, commands: Mapping[str, Command], argv: list[str] | None = None) -> int:
    """Run one subcommand; after an error the exit status is 2, and stderr has one line."""
    parser = _Parser(prog=program, description=about)
    subparsers = parser.add_subparsers(required=True, metavar="SUBCOMMAND", dest="command")
    for name, command in commands.items():
        sub = subparsers.add_parser(name, help=command.help, description=command.description or command.help)
        for names, options in command.options:
            sub.add_argument(*names, **options)
    given = parser.parse_args(argv)
    if "runs" in given and given.runs is None:
        given.runs = runs_folder()
    try:
        commands[given.command].run(given)
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def setting(text: str) -> tuple[str, Any]:
    """`name=value` as (name, value read as YAML); `name.entry` is an entry of a mapping."""
    name, equals, value = text.partition("=")
    if not (equals and all(name.split("."))):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value or name.entry=value")
    try:
        return name, parse_yaml(value, f"the value of {text!r}")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def settings_of(given: Iterable[tuple[str, Any]], scale: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of --set by name. `name.entry=value` changes one entry of that mapping in `scale`.

    If the world changes, the options of the scale's own world are dropped. Raises ValueError for an entry of something
    that is not a mapping.
    """
    given = list(given)
    changed: dict[str, Any] = {}
    if dict(given).get("world", scale.get("world")) != scale.get("world"):
        changed["world_options"] = {}
    for name, value in given:
        first, *entries = name.split(".")
        old = changed[first] if first in changed else scale.get(first, {})
        changed[first] = _within(first, old, entries, value)
    return changed


def _within(name: str, old: Any, entries: list[str], value: Any) -> Any:
    """`old` with the value at the end of a path of entries, copied as far as the path goes."""
    if not entries:
        return value
    if not isinstance(old, Mapping):
        raise ValueError(f"--set {name}.{entries[0]}: {name} is {old!r}, not a mapping, so it has no entries")
    first, *rest = entries
    return {**old, first: _within(f"{name}.{first}", old.get(first, {}), rest, value)}
