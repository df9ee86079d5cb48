"""readers: how hard a world is, by four readers that know nothing of masks."""

import argparse
import json
from pathlib import Path
from typing import Any

from mae_lib.commands.arguments import add_device, add_preset, add_quiet, add_settings, settings_of
from mae_lib.presets import load_preset, parse_yaml


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "readers",
        help="how hard a world is: pixels, an untrained and a supervised encoder, before any masked pretraining",
        description="Read the class of a world's images from raw pixels (linear, 20 neighbours), from an untrained "
        "encoder (linear) and by a supervised encoder of the same size, and print each one's accuracy, for example: "
        "python -m mae_lib readers --preset laptop --set 'world_options={variant: odd_pose}'",
    )
    add_preset(parser)
    add_settings(parser, example="'world_options={classes: 16}'")
    parser.add_argument("--test-options", default="{}", help='of the test images\' world, e.g. "{variant: sketch}"')
    parser.add_argument("--train-images", type=int, default=3200, help="that the probes learn from (default: 3200)")
    parser.add_argument("--test-images", type=int, default=1000, help="that all are tested on (default: 1000)")
    parser.add_argument("--supervised-images", type=int, default=20_000, help="of supervised training (default: 20000)")
    parser.add_argument("--visits", type=int, default=60_000, help="of supervised training to them (default: 60000)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    parser.add_argument("--out", type=Path, help="a JSON file of a list, to which this trial is added")
    add_device(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.evaluation.four_readers import four_readers
    from mae_lib.training import PretrainConfig, checkpoints

    before = _trials(arguments.out) if arguments.out and arguments.out.is_file() else []
    scale = load_preset(arguments.preset)["scale"] | {"seed": arguments.seed}
    trial = four_readers(
        PretrainConfig.from_scale(scale, **settings_of(arguments.settings, scale)),
        parse_yaml(arguments.test_options, "--test-options"),
        arguments.train_images,
        arguments.test_images,
        arguments.supervised_images,
        arguments.visits,
        device=arguments.device,
        progress=not arguments.quiet,
    )
    for reader, accuracy in trial["accuracy"].items():
        print(f"{reader:24}{accuracy:.3f}")
    print(f"{'chance':24}{trial['chance']:.3f}")
    if arguments.out:
        checkpoints.write_json(arguments.out, [*before, trial])


def _trials(path: Path) -> list[dict[str, Any]]:
    try:
        before = json.loads(path.read_text())
    except ValueError:
        before = None
    if not isinstance(before, list):
        raise ValueError(f"{path} is no list of trials: give another file")
    return before
