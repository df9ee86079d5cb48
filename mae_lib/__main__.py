"""The command line: `python -m mae_lib SUBCOMMAND`, one parser and one function for each subcommand.

Imports that take seconds stand inside the functions, so that --help is quick.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mae_lib.folders import checkout, runs_folder
from mae_lib.presets import PRESETS, load_preset, parse_yaml


def setting(text: str) -> tuple[str, Any]:
    """`name=value` as (name, value read as YAML)."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    try:
        return name, parse_yaml(value, f"the value of {text!r}")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_pretrain(commands: Any) -> None:
    parser = commands.add_parser(
        "pretrain",
        help="pretrain a masked autoencoder, or find the run if it is already there",
        description="Pretrain a masked autoencoder on a world. A run that exists is found, an interrupted one goes on. "
        "Several GPUs: torchrun --nproc-per-node 4 -m mae_lib pretrain ...",
    )
    parser.add_argument("--preset", default="laptop", help=f"{', '.join(PRESETS)}, or a YAML file (default: laptop)")
    parser.add_argument("--mask-ratio", type=float, default=0.75, help="share of masked patches r (default: 0.75)")
    parser.add_argument("--unit", type=int, help="side of the mask unit in pixels s (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and masks (default: 0)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    parser.add_argument("--runs", default=str(runs_folder()), help="folder of all runs (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--micro-batches", type=int, default=1, help="parts of a batch, to save memory (default: 1)")
    parser.add_argument("--compile", action="store_true", help="torch.compile each block: a minute, then faster")
    parser.add_argument("--checkpoint-blocks", action="store_true", help="compute blocks twice, to save memory")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="any other setting of PretrainConfig, e.g. width=128; may be repeated",
    )
    parser.set_defaults(run=run_pretrain)


def run_pretrain(arguments: argparse.Namespace) -> None:
    from mae_lib.training import PretrainConfig, pretrain

    masks = {"mask_ratio": arguments.mask_ratio, "seed": arguments.seed}
    masks |= {} if arguments.unit is None else {"unit": arguments.unit}
    scale = load_preset(arguments.preset)["scale"]
    config = PretrainConfig.from_scale(scale, **masks | dict(arguments.settings))
    run = pretrain(
        config,
        arguments.runs,
        arguments.device,
        progress=not arguments.quiet,
        micro_batches=arguments.micro_batches,
        cpu_threads=arguments.threads,
        compiled=arguments.compile,
        checkpoint_blocks=arguments.checkpoint_blocks,
    )
    done = run.done
    print(
        f"{run.directory}: loss {done['loss']:.5f}, {done['seconds']:.0f} s, {done['images_per_second']:.0f} images/s"
    )


def add_locate(commands: Any) -> None:
    parser = commands.add_parser(
        "locate",
        help="Algorithms 1 and 2: the latents that the two sides of a mask share",
        description="Print c, s_m and s_mc of Theorem 1, for example: python -m mae_lib locate figure_4 x1 x2",
    )
    parser.add_argument("graph", help="figure_1, figure_2, figure_4, or a file with an edge, 'parent child', on a line")
    parser.add_argument("masked", nargs="*", help="names of the masked observables")
    parser.set_defaults(run=run_locate)


def run_locate(arguments: argparse.Namespace) -> None:
    import networkx as nx

    from mae_lib.theory import LatentHierarchy, locate_shared_information

    if arguments.graph in ("figure_1", "figure_2", "figure_4"):
        hierarchy = getattr(LatentHierarchy, arguments.graph)()
    elif Path(arguments.graph).is_file():
        hierarchy = LatentHierarchy(nx.read_edgelist(arguments.graph, create_using=nx.DiGraph, data=False))
    else:
        raise ValueError(f"graph {arguments.graph!r} is neither figure_1, figure_2 or figure_4 nor a file")
    shared = locate_shared_information(hierarchy, arguments.masked)
    for name in ("c", "s_m", "s_mc"):
        print(f"{name:>4} = {{{', '.join(sorted(map(str, getattr(shared, name))))}}}")


def add_execute(commands: Any) -> None:
    parser = commands.add_parser(
        "execute",
        help="run a notebook with a preset and other parameters",
        description="Run a notebook. Unknown or mistyped parameters are refused before anything runs, and the output "
        "appears when every cell has passed. What a notebook takes: papermill --help-notebook NOTEBOOK",
    )
    parser.add_argument("notebook", type=Path, help="for example notebooks/3_1_reconstruction.ipynb")
    parser.add_argument("output", type=Path, help="the executed notebook")
    parser.add_argument("--preset", default="laptop", help=f"{', '.join(PRESETS)}, or a YAML file (default: laptop)")
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        dest="parameters",
        help="a parameter, its value read as YAML; wins over the preset; may be repeated",
    )
    parser.set_defaults(run=run_execute)


def run_execute(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.notebooks import execute

    given = {name: parse_yaml(value, f"parameter {name}") for name, value in arguments.parameters}
    print(execute(arguments.notebook, arguments.output, arguments.preset, given))


def add_series(commands: Any) -> None:
    parser = commands.add_parser(
        "series",
        help="train and measure all of Section 3 at a preset, and publish it in a folder",
        description="Train every mask of a preset, measure all sections, and write tables, encoders and provenance. "
        "What is finished is never done again: the same command goes on after a kill.",
    )
    parser.add_argument("--preset", default="laptop", help=f"{', '.join(PRESETS)}, or a YAML file (default: laptop)")
    parser.add_argument("--out", type=Path, required=True, help="the folder, for example results/gpu")
    parser.add_argument("--seeds", help='instead of the preset\'s, for example "[0, 1, 2]"')
    parser.add_argument("--jobs", type=int, default=1, help="processes that work at once (default: 1)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    parser.add_argument("--ship", type=int, default=1, help="seeds whose encoders the folder holds (default: 1)")
    parser.add_argument(
        "--together",
        action=argparse.BooleanOptionalAction,
        help="train the seeds of one mask as one batched model (default: on CUDA)",
    )
    parser.set_defaults(run=run_series)


def run_series(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.publish import publish

    names = ("preset", "out", "seeds", "jobs", "device", "ship", "together")
    print(publish(**{name: getattr(arguments, name) for name in names}))


def add_book(commands: Any) -> None:
    parser = commands.add_parser("book", help="render the book from notebooks that were executed at a preset")
    parser.add_argument("--preset", default="laptop", help="(default: laptop)")
    parser.add_argument("--runs", type=Path, default=runs_folder(), help="folder of all runs (default: %(default)s)")
    parser.set_defaults(run=run_book)


def run_book(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.book import BookError, build

    try:
        print(build(checkout() or Path.cwd(), arguments.preset, arguments.runs.resolve()))
    except BookError as error:  # Sphinx's log is worth more than one line
        sys.exit(str(error))


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; the exit status is 2 after an error, which takes one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m mae_lib", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="SUBCOMMAND")
    for add in (add_locate, add_pretrain, add_series, add_execute, add_book):
        add(commands)
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
