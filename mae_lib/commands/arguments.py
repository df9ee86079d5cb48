"""Arguments that several subcommands take, said once."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mae_lib.folders import runs_folder
from mae_lib.presets import PRESETS, parse_yaml


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
    """The settings of --set by name. `name.entry=value` changes one entry of the mapping that `scale` has there.

    Options of the scale's own world are no options of another. Raises ValueError for an entry of what is no mapping.
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


def add_preset(parser: argparse.ArgumentParser, default: str = "laptop") -> None:
    choices = f"{', '.join(PRESETS)}, or a YAML file"
    parser.add_argument("--preset", default=default, help=f"{choices} (default: {default})")


def add_mask(parser: argparse.ArgumentParser, of: str) -> None:
    """Ratio, unit and seed of one run; `mask_of` reads them."""
    parser.add_argument("--mask-ratio", type=float, default=0.75, help=f"share of masked patches r{of} (default: 0.75)")
    parser.add_argument("--unit", type=int, help=f"side of the mask unit in pixels s{of} (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0, help=f"seed of weights, order and masks{of} (default: 0)")


def mask_of(arguments: argparse.Namespace) -> dict[str, Any]:
    mask = {"mask_ratio": arguments.mask_ratio, "seed": arguments.seed}
    return mask if arguments.unit is None else mask | {"unit": arguments.unit}


def add_settings(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help=f"any other setting of PretrainConfig, e.g. {example}, or an entry of one, e.g. world_options.size=64; "
        "may be repeated",
    )


def add_seeds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", help='instead of the preset\'s, for example "[0, 1, 2]"')


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")


def add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, default=runs_folder(), help="folder of all runs (default: %(default)s)")


def add_easing(parser: argparse.ArgumentParser) -> None:
    """What makes a model fit, or run faster, and changes its result by no more than the last bits."""
    parser.add_argument("--micro-batches", type=int, default=1, help="parts of a batch, to save memory (default: 1)")
    parser.add_argument("--compile", action="store_true", help="torch.compile each block: a minute, then faster")
    parser.add_argument("--checkpoint-blocks", action="store_true", help="compute blocks twice, to save memory")


def easing_of(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "micro_batches": arguments.micro_batches,
        "compiled": arguments.compile,
        "checkpoint_blocks": arguments.checkpoint_blocks,
    }


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
