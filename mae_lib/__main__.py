"""The command line: `python -m mae_lib SUBCOMMAND`. One function per subcommand, which imports what it needs."""

import json
import sys
from pathlib import Path
from typing import Any

from mae_lib.command_line import (
    DEVICE,
    QUIET,
    RUNS,
    Command,
    Given,
    option,
    preset_option,
    run,
    setting,
    settings_of,
    switch,
)
from mae_lib.presets import load_preset, parse_yaml
from mae_lib.typed import typed

SEEDS = option("--seeds", help='instead of the preset\'s, for example "[0, 1, 2]"')
MASK = (
    option("--mask-ratio", type=float, default=0.75, help="share of masked patches r (default: 0.75)"),
    option("--unit", type=int, help="side of the mask unit in pixels s (default: the preset's)"),
    option("--seed", type=int, default=0, help="seed of weights, order and masks (default: 0)"),
)
# They save memory or time, and change the result by no more than the last bits.
MEMORY = (
    option("--micro-batches", type=int, default=1, help="parts of a batch, to save memory (default: 1)"),
    option("--compile", action="store_true", dest="compiled", help="torch.compile each block: a minute, then faster"),
    switch("--checkpoint-blocks", "compute blocks twice, to save memory"),
)

TENSORBOARD = switch("--tensorboard", "write the log for TensorBoard too, beside it; needs mae_lib[tensorboard]")


def set_option(example: str) -> Any:
    """The repeatable option --set."""
    meant = f"any other setting of PretrainConfig, e.g. {example}, or an entry of one, e.g. world_options.size=64"
    about = {"action": "append", "default": [], "metavar": "NAME=VALUE", "dest": "settings"}
    return option("--set", type=setting, help=f"{meant}; may be repeated", **about)


def _mask(given: Given) -> dict[str, Any]:
    mask = {"mask_ratio": given.mask_ratio, "seed": given.seed}
    return mask if given.unit is None else mask | {"unit": given.unit}


def _hardware(given: Given) -> Any:
    """The `Hardware` of a subcommand's options, with defaults for those that it lacks."""
    from dataclasses import fields

    from mae_lib.training import Hardware

    names = {entry.name for entry in fields(Hardware)}
    return Hardware(**{name: value for name, value in vars(given).items() if name in names})


def _note_device(given: Given) -> None:
    """Warn on stderr that a preset for GPUs will be trained on a CPU, which is slow but not wrong."""
    from mae_lib.devices import best_device

    if given.preset in ("gpu", "paper", "paper8") and best_device(given.device).type == "cpu":
        text = f"the preset {given.preset} is meant for GPUs, and this runs on the CPU: it will take long"
        print(text, file=sys.stderr)


def locate(given: Given) -> None:
    import networkx as nx

    from mae_lib.theory import LatentHierarchy, locate_shared_information
    from mae_lib.theory.edges import read_edges

    if given.graph in ("figure_1", "figure_2", "figure_4"):
        hierarchy = getattr(LatentHierarchy, given.graph)()
    elif Path(given.graph).is_file():
        hierarchy = LatentHierarchy(nx.DiGraph(read_edges(Path(given.graph))))
    else:
        raise ValueError(f"graph {given.graph!r} is neither figure_1, figure_2 or figure_4 nor a file")
    shared = locate_shared_information(hierarchy, given.masked)
    for name in ("c", "s_m", "s_mc"):
        print(f"{name:>4} = {{{', '.join(sorted(map(str, getattr(shared, name))))}}}")


def pretrain(given: Given) -> None:
    from mae_lib.training import PretrainConfig
    from mae_lib.training import pretrain as train
    from mae_lib.training.hardware import rank_and_world

    _note_device(given)
    scale = load_preset(given.preset)["scale"]
    own = [] if given.folder is None else [("world", "folder"), ("world_options.root", str(given.folder))]
    config = PretrainConfig.from_scale(scale, **_mask(given) | settings_of([*own, *given.settings], scale))
    trained = train(config, given.runs, _hardware(given))
    done = trained.done
    speed = f"{done['seconds']:.0f} s, {done['images_per_second']:.0f} images/s"
    print(f"{trained.directory}: loss {done['loss']:.5f}, {speed}")
    if config.world == "folder" and rank_and_world()[0] == 0:
        from mae_lib.studies.own_images import report

        print("\n".join(report(trained, config.make_world())))


def pack(given: Given) -> None:
    from mae_lib.data.loading import default_workers
    from mae_lib.data.packs import pack
    from mae_lib.imagenet.sets import imagenet

    workers = default_workers() if given.workers is None else given.workers
    for split in ("train", "val"):
        images = imagenet(split, given.source)
        packed = pack(images, given.out / split, given.shorter, workers)
        print(f"{given.out / split}: {len(packed):,} of {len(images):,} images")


def drawings(given: Given) -> None:
    from mae_lib.worlds.drawing_builder import attribution, build
    from mae_lib.worlds.drawing_pack import pack_folder

    out = pack_folder() if given.out is None else given.out
    about = build(out, given.given, given.size, progress=given.progress)
    print(f"{out}: {len(about['concepts']):,} concepts by {len(about['hands'])} designers, {about['digest']}")
    print(attribution(about))


def import_model(given: Given) -> None:
    from mae_lib.training.released import import_model, preset_of

    scale = load_preset(given.preset)["scale"]
    made = import_model(given.path, scale, given.runs, **settings_of(given.settings, scale))
    print(f"{made.directory}: {'encoder and decoder' if made.done['decoder'] else 'encoder only'}")
    print(f"its preset: python -m maebook execute notebooks/3_2_attention.ipynb out.ipynb --preset {preset_of(made)}")


def evaluate(given: Given) -> None:
    from dataclasses import replace

    from mae_lib.imagenet.evaluate import described, evaluate
    from mae_lib.training import PretrainConfig, find
    from mae_lib.training.released import import_model

    scale = load_preset(given.preset)["scale"]
    settings = settings_of(given.settings, scale)
    scale |= settings
    probe_images = typed("probe_images", scale.get("probe_images"), int)
    settings.pop("probe_images", None)
    if given.model:
        found = import_model(given.model, load_preset(given.preset)["scale"], given.runs, **settings)
        config = replace(found.config, world_options=scale.get("world_options", {}))
    else:
        config = PretrainConfig.from_scale(scale, **_mask(given) | settings)
        found = find(config, given.runs)
        if found is None:
            raise ValueError(f"{config.name} has not been trained in {given.runs}: python -m mae_lib pretrain does")
    # Of a world, an address has only the files' fingerprints: this run may have had other world options.
    scores = evaluate(found, probe_images, _hardware(given), config.make_world())
    if scores:
        print(f"{found.directory}\n{described(scores)}")


def readers(given: Given) -> None:
    from mae_lib.studies.baselines import baseline_accuracies
    from mae_lib.training import PretrainConfig, checkpoints

    before = _trials(given.out) if given.out and given.out.is_file() else []
    scale = load_preset(given.preset)["scale"] | {"seed": given.seed}
    config = PretrainConfig.from_scale(scale, **settings_of(given.settings, scale))
    sizes = given.train_images, given.test_images, given.supervised_images, given.visits
    options = parse_yaml(given.test_options, "--test-options")
    trial = baseline_accuracies(config, options, *sizes, hardware=_hardware(given))
    for reader, accuracy in [*trial["accuracy"].items(), ("chance", trial["chance"])]:
        print(f"{reader:24}{accuracy:.3f}")
    if given.out:
        checkpoints.write_json(given.out, [*before, trial])


def _trials(path: Path) -> list[dict[str, Any]]:
    try:
        before = json.loads(path.read_text())
    except ValueError:
        before = None
    if not isinstance(before, list):
        raise ValueError(f"{path} is no list of trials: give another file")
    return before


def series(given: Given) -> None:
    from mae_lib.studies.publish import publish

    _note_device(given)
    names = ("preset", "out", "seeds", "device", "ship", "minutes", "tensorboard")
    print(publish(**{name: getattr(given, name) for name in names}))


def detect(given: Given) -> None:
    from mae_lib.transfer.publish import publish_detection

    _note_device(given)
    preset = load_preset(given.preset)
    seeds = preset["seeds"] if given.seeds is None else parse_yaml(given.seeds, "--seeds")
    only = [("untrained", seed) for seed in seeds] if given.scratch else []
    if given.mask_ratio is not None:
        unit = preset["scale"]["unit"] if given.unit is None else given.unit
        only += [(given.mask_ratio, unit, seed) for seed in seeds]
    publish_detection(given.preset, given.out, seeds, only or None, given.coco, _hardware(given))


def table(given: Given) -> None:
    from mae_lib.studies.page_tables import publish_table

    _note_device(given)
    for name in given.names:
        print(publish_table(name, given.preset, given.out, given.seeds, given.device))


def crate(given: Given) -> None:
    from mae_lib.studies.ro_crate import write_crate

    print(write_crate(given.folder.resolve()))


COMMANDS = {
    "locate": Command(
        locate,
        "Algorithms 1 and 2: the latents that the two sides of a mask share",
        "Print c, s_m and s_mc of Theorem 1, for example: python -m mae_lib locate figure_4 x1 x2",
        (
            option("graph", help="figure_1, figure_2, figure_4, or a file of UTF-8 text with an edge on a line: 'z x'"),
            option("masked", nargs="*", help="names of the masked observables"),
        ),
    ),
    "pretrain": Command(
        pretrain,
        "pretrain a masked autoencoder, or find the run if it is already there",
        "Pretrain a masked autoencoder on a world. A run that exists is found, an interrupted one goes on. "
        "Several GPUs: torchrun --nproc-per-node 4 -m mae_lib pretrain ...",
        (
            preset_option(),
            option("--folder", type=Path, help="a folder of your own images, instead of the preset's world"),
            *MASK,
            DEVICE,
            RUNS,
            option("--threads", type=int, default=1, help="CPU threads (default: 1)"),
            *MEMORY,
            TENSORBOARD,
            QUIET,
            set_option("width=128"),
        ),
    ),
    "pack": Command(
        pack,
        "pack ImageNet for speed: its pixels decoded once",
        "Write train/ and val/ of ImageNet-1K into another folder, in a form that is quicker to read. "
        "Set MAE_LIB_IMAGENET to that folder, and every command takes its images from there.",
        (
            option("source", type=Path, help="folder with train/ and val/"),
            option("out", type=Path, help="another folder"),
            option("--shorter", type=int, help="pixels that larger images' shorter side is resized to, e.g. 256"),
            option("--workers", type=int, help="processes that decode (default: one a core)"),
        ),
    ),
    "drawings": Command(
        drawings,
        "build the pack of drawings that the world `drawings` takes its images from",
        "Fetch five packages of emoji by npm, or take them from --from, draw the concepts that all eight "
        "designers share, and print whose work it is. Needs mae_lib[drawings].",
        (
            option("--from", nargs="+", type=Path, default=[], dest="given", help="tarballs or folders instead"),
            option("--out", type=Path, help="the folder (default: $MAE_LIB_DRAWINGS, else drawings/ in the runs)"),
            option("--size", type=int, default=72, help="side of a drawing in pixels (default: 72)"),
            QUIET,
        ),
    ),
    "import": Command(
        import_model,
        "make a run of a released checkpoint: facebookresearch/mae's, timm's or transformers'",
        "Make a run of a checkpoint that others released (.pth or .safetensors, or a folder that transformers wrote), "
        "with a preset that names it, which every command and notebook takes.",
        (
            option(
                "path", type=Path, help="a file or folder, timm:vit_base_patch16_224.mae or hf:facebook/vit-mae-base"
            ),
            preset_option("paper"),
            RUNS,
            set_option("norm_pixels=false"),
        ),
    ),
    "evaluate": Command(
        evaluate,
        "attention, linear probe, Table 1's sets and shape bias of one model on ImageNet",
        "Draw and score the attention of a finished run or a released checkpoint, train the linear probe "
        "on it, and score that on every set that is here. Several GPUs: torchrun --nproc-per-node 8 -m mae_lib "
        "evaluate ...",
        (
            option("--model", type=Path, help="a released checkpoint, timm:NAME or hf:OWNER/NAME; instead of a run"),
            *MASK,
            preset_option("paper"),
            set_option("norm_pixels=false"),
            RUNS,
            DEVICE,
            QUIET,
        ),
    ),
    "readers": Command(
        readers,
        "how hard a world is: pixels, an untrained and a supervised encoder, before any masked pretraining",
        "Read the class of a world's images from raw pixels (linear, 20 neighbours), from an untrained "
        "encoder (linear) and by a supervised encoder of the same size, and print each one's accuracy, for example: "
        "python -m mae_lib readers --preset laptop --set 'world_options={variant: odd_pose}'",
        (
            preset_option(),
            set_option("'world_options={classes: 16}'"),
            option("--test-options", default="{}", help='of the test images\' world, e.g. "{variant: sketch}"'),
            option("--train-images", type=int, default=3200, help="that the probes learn from (default: 3200)"),
            option("--test-images", type=int, default=1000, help="that all are tested on (default: 1000)"),
            option("--supervised-images", type=int, default=20_000, help="of supervised training (default: 20000)"),
            option("--visits", type=int, default=60_000, help="of supervised training to them (default: 60000)"),
            option("--seed", type=int, default=0, help="of weights and order (default: 0)"),
            option("--out", type=Path, help="a JSON file of a list, to which this trial is added"),
            DEVICE,
            QUIET,
        ),
    ),
    "series": Command(
        series,
        "train and measure all of Section 3 at a preset, and publish it in a folder",
        "Train every mask of a preset, measure all sections, and write tables, encoders and provenance. "
        "What stands in the folder is never done again: the same command goes on after a kill, or after --minutes.",
        (
            preset_option(),
            option("--out", type=Path, required=True, help="the folder, for example results/gpu"),
            SEEDS,
            DEVICE,
            option("--ship", type=int, default=1, help="seeds whose encoders the folder holds (default: 1)"),
            option("--minutes", type=float, help="begin no part after about this time (default: work to the end)"),
            TENSORBOARD,
        ),
    ),
    "detect": Command(
        detect,
        "fine-tune detectors from a preset's encoders (Section 3.5), score them, and publish it in a folder",
        "Fine-tune Mask R-CNN from every encoder of a preset and from scratch, and print box and mask AP. "
        "Encoders that are not there are trained. What is finished is never done again. Needs mae_lib[detection]. "
        "Several GPUs: torchrun --nproc-per-node 8 -m mae_lib detect --preset paper --mask-ratio 0.75 --unit 16",
        (
            preset_option(),
            option("--out", type=Path, help="the folder, for example results/gpu (default: none is written)"),
            SEEDS,
            option("--mask-ratio", type=float, help="of one encoder alone, with --unit"),
            option("--unit", type=int, help="of one encoder alone, in pixels (default: the preset's)"),
            switch("--scratch", "from scratch alone"),
            option("--coco", help="COCO's folder, where the preset takes it (default: $MAE_LIB_COCO)"),
            option("--workers", type=int, help="threads that load images ahead (default: none)"),
            *MEMORY,
            DEVICE,
        ),
    ),
    "table": Command(
        table,
        "train and measure what a page shows beside the series, and publish it as a table",
        "Write NAME.csv, which a page opens at the preset book, and its provenance, seed by seed. The same command "
        "goes on after a kill, or with more seeds. Section 3.6 has boundary, masks and extremes, in "
        "results/suggestions.",
        (
            option(
                "names",
                nargs="+",
                metavar="NAME",
                choices=(
                    *("theorem_2", "levels", "tokens", "observers", "contrastive"),
                    *(f"schedules/{times}x" for times in ("0.25", "0.5", "2", "4", "8", "16")),
                    "grid",
                    *("boundary", "masks", "extremes"),  # Section 3.6
                ),
                help="%(choices)s",
            ),
            preset_option(),
            option("--out", type=Path, required=True, help="the folder, for example results"),
            SEEDS,
            DEVICE,
        ),
    ),
    "crate": Command(
        crate,
        "describe a folder of published results as an RO-Crate, in the folder",
        "",
        (option("folder", type=Path, help="for example results/longer"),),
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand of `COMMANDS`."""
    return run("python -m mae_lib", "Understanding masked autoencoders, run.", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
