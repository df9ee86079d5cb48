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


def add_suggestions(commands: Any) -> None:
    parser = commands.add_parser(
        "suggestions",
        help="train and measure what Section 3.6 suggests at a preset, and publish it in a folder",
        description="Train the masked autoencoder with each of the settings that Section 3.6 suggests, measure it, and "
        "write the scores, seed by seed. What is finished is never done again: the same command goes on after a kill.",
    )
    parser.add_argument("--preset", default="laptop", help=f"{', '.join(PRESETS)}, or a YAML file (default: laptop)")
    parser.add_argument("--out", type=Path, required=True, help="the folder, for example results/suggestions")
    parser.add_argument("--seeds", help='instead of the preset\'s, for example "[0, 1, 2]"')
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    parser.set_defaults(run=run_suggestions)


def run_suggestions(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.suggestions import publish_suggestions

    print(publish_suggestions(arguments.preset, arguments.out, arguments.seeds, arguments.device))


def add_pack(commands: Any) -> None:
    parser = commands.add_parser(
        "pack",
        help="pack ImageNet for speed: its pixels decoded once, or its files in shards",
        description="Write train/ and val/ of ImageNet-1K into another folder, in a form that is quicker to read. "
        "Set MAE_LIB_IMAGENET to that folder, and every command takes its images from there.",
    )
    parser.add_argument("source", type=Path, help="folder with train/ and val/")
    parser.add_argument("out", type=Path, help="another folder")
    parser.add_argument("--form", default="pixels", help="pixels or shards (default: pixels)")
    parser.add_argument("--shorter", type=int, help="pixels that larger images' shorter side is resized to, e.g. 256")
    parser.add_argument("--workers", type=int, help="processes that decode (default: one a core)")
    parser.set_defaults(run=run_pack)


def run_pack(arguments: argparse.Namespace) -> None:
    from mae_lib.data.loading import default_workers
    from mae_lib.data.packs import pack
    from mae_lib.data.sets import imagenet

    workers = default_workers() if arguments.workers is None else arguments.workers
    for split in ("train", "val"):
        images = imagenet(split, arguments.source)
        packed = pack(images, arguments.out / split, arguments.form, arguments.shorter, workers)
        print(f"{arguments.out / split}: {len(packed):,} of {len(images):,} images")


def add_import(commands: Any) -> None:
    parser = commands.add_parser(
        "import",
        help="make a run of a released checkpoint: facebookresearch/mae's or timm's",
        description="Make a run of a checkpoint that others released (.pth or .safetensors), with a preset that names "
        "it, which every command and notebook takes.",
    )
    parser.add_argument("path", type=Path, help="for example mae_pretrain_vit_base.pth")
    parser.set_defaults(run=run_import)
    _add_released(parser)


def _add_released(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="paper", help="whose data and sizes of evaluations (default: paper)")
    parser.add_argument("--runs", type=Path, default=runs_folder(), help="folder of all runs (default: %(default)s)")
    parser.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="what else differs from the preset, e.g. norm_pixels=false; may be repeated",
    )


def _imported(path: Path, arguments: argparse.Namespace) -> Any:
    from mae_lib.training.released import import_model

    scale = load_preset(arguments.preset)["scale"]
    return import_model(path, scale, arguments.runs, **dict(arguments.settings))


def run_import(arguments: argparse.Namespace) -> None:
    from mae_lib.training.released import preset_of

    run = _imported(arguments.path, arguments)
    print(f"{run.directory}: {'encoder and decoder' if run.done['decoder'] else 'encoder only'}")
    print(f"its preset: python -m mae_lib execute notebooks/3_2_attention.ipynb out.ipynb --preset {preset_of(run)}")


def add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="linear probe, Table 1's sets and shape bias of one model on ImageNet",
        description="Train the linear probe on a finished run or a released checkpoint, and score it on every set "
        "that is here. Several GPUs: torchrun --nproc-per-node 8 -m mae_lib evaluate ...",
    )
    parser.add_argument("--model", type=Path, help="a released checkpoint; instead of a run of the preset")
    parser.add_argument("--mask-ratio", type=float, default=0.75, help="of the run (default: 0.75)")
    parser.add_argument("--unit", type=int, help="of the run, in pixels (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (default: 0)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_released(parser)
    parser.set_defaults(run=run_evaluate)


def run_evaluate(arguments: argparse.Namespace) -> None:
    from mae_lib.evaluation.evaluate import described, evaluate
    from mae_lib.training import PretrainConfig, find

    scale = load_preset(arguments.preset)["scale"] | dict(arguments.settings)
    if arguments.model:
        run = _imported(arguments.model, arguments)
    else:
        masks = {"mask_ratio": arguments.mask_ratio, "seed": arguments.seed}
        masks |= {} if arguments.unit is None else {"unit": arguments.unit}
        config = PretrainConfig.from_scale(scale, **masks)
        run = find(config, arguments.runs)
        if run is None:
            raise ValueError(f"{config.name} has not been trained in {arguments.runs}: python -m mae_lib pretrain does")
    scores = evaluate(run, scale["probe_images"], arguments.device, progress=not arguments.quiet)
    if scores:
        print(f"{run.directory}\n{described(scores)}")


def add_detect(commands: Any) -> None:
    parser = commands.add_parser(
        "detect",
        help="fine-tune detectors from a preset's encoders (Section 3.5), score them, and publish it in a folder",
        description="Fine-tune Mask R-CNN from every encoder of a preset and from scratch, and print box and mask AP. "
        "Encoders that are not there are trained. What is finished is never done again. Needs mae_lib[detection]. "
        "Several GPUs: torchrun --nproc-per-node 8 -m mae_lib detect --preset paper --mask-ratio 0.75 --unit 16",
    )
    parser.add_argument("--preset", default="laptop", help=f"{', '.join(PRESETS)}, or a YAML file (default: laptop)")
    parser.add_argument("--out", type=Path, help="the folder, for example results/gpu (default: none is written)")
    parser.add_argument("--seeds", help='instead of the preset\'s, for example "[0, 1, 2]"')
    parser.add_argument("--mask-ratio", type=float, help="of one encoder alone, with --unit")
    parser.add_argument("--unit", type=int, help="of one encoder alone, in pixels (default: the preset's)")
    parser.add_argument("--scratch", action="store_true", help="from scratch alone")
    parser.add_argument("--coco", help="COCO's folder, where the preset takes it (default: $MAE_LIB_COCO)")
    parser.add_argument("--workers", type=int, default=0, help="threads that load images ahead (default: 0)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    parser.set_defaults(run=run_detect)


def run_detect(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.publish_detection import publish_detection
    from mae_lib.training.engine import best_device

    preset = load_preset(arguments.preset)
    seeds = preset["seeds"] if arguments.seeds is None else parse_yaml(arguments.seeds, "--seeds")
    only = [("untrained", seed) for seed in seeds] if arguments.scratch else []
    if arguments.mask_ratio is not None:
        unit = preset["scale"]["unit"] if arguments.unit is None else arguments.unit
        only += [(arguments.mask_ratio, unit, seed) for seed in seeds]
    options = {"folder": arguments.coco, "workers": arguments.workers}
    device = str(best_device(arguments.device))
    publish_detection(arguments.preset, arguments.out, seeds, device, only or None, **options)


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


def add_editions(commands: Any) -> None:
    parser = commands.add_parser(
        "editions",
        help="write the reader's, the student's and the instructor's notebooks, and a course for nbgrader",
        description="Write the editions from the notebooks of the book. --check runs every coding exercise instead: "
        "its solution must pass its check, and a stub and `return None` must fail it with a reason.",
    )
    parser.add_argument("--out", type=Path, default=Path("editions"), help="the folder (default: %(default)s)")
    parser.add_argument("--runs", type=Path, default=runs_folder(), help="executed notebooks (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="run the exercises; write nothing")
    parser.add_argument("--preset", default="smoke", help="of the exercises that are run (default: smoke)")
    parser.add_argument("--only", default="", help="notebooks whose name holds this text")
    parser.set_defaults(run=run_editions)


def run_editions(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.teaching.editions import write_editions
    from mae_lib.reporting.teaching.rehearsal import rehearse

    if arguments.check:
        rehearse(arguments.preset, arguments.only)
    else:
        print(*write_editions(arguments.out, arguments.runs), sep="\n")


def add_slides(commands: Any) -> None:
    parser = commands.add_parser("slides", help="write the slides of the lectures from executed notebooks")
    parser.add_argument("--preset", default="laptop", help="whose executed notebooks (default: laptop)")
    parser.add_argument("--runs", type=Path, default=runs_folder(), help="folder of all runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("slides"), help="the folder (default: %(default)s)")
    parser.set_defaults(run=run_slides)


def run_slides(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.teaching.slides import write_slides

    print(*write_slides(arguments.out, arguments.runs / "notebooks" / arguments.preset), sep="\n")


def add_pdf(commands: Any) -> None:
    parser = commands.add_parser("pdf", help="print the whole book as one PDF; needs Chromium or Chrome")
    parser.add_argument("--preset", default="laptop", help="(default: laptop)")
    parser.add_argument("--runs", type=Path, default=runs_folder(), help="folder of all runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("book/_build/book.pdf"), help="(default: %(default)s)")
    parser.set_defaults(run=run_pdf)


def run_pdf(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.book import BookError
    from mae_lib.reporting.pdf import make_pdf

    try:
        print(make_pdf(checkout() or Path.cwd(), arguments.preset, arguments.runs.resolve(), arguments.out.resolve()))
    except BookError as error:
        sys.exit(str(error))


def add_zip(commands: Any) -> None:
    parser = commands.add_parser("zip", help="pack the rendered book into an archive that opens from disk")
    parser.add_argument("--out", type=Path, default=Path("book/_build/book.zip"), help="(default: %(default)s)")
    parser.set_defaults(run=run_zip)


def run_zip(arguments: argparse.Namespace) -> None:
    from mae_lib.reporting.archive import archive

    print(archive((checkout() or Path.cwd()) / "book" / "_build" / "html", arguments.out.resolve()))


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; the exit status is 2 after an error, which takes one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m mae_lib", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="SUBCOMMAND")
    subcommands = (
        add_locate,
        add_pretrain,
        add_pack,
        add_import,
        add_evaluate,
        add_series,
        add_detect,
        add_suggestions,
        add_execute,
        add_book,
        add_pdf,
        add_zip,
        add_editions,
        add_slides,
    )
    for add in subcommands:
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
