"""pack: ImageNet in a form that is quicker to read."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from mae_lib.data.loading import default_workers
    from mae_lib.data.packs import pack
    from mae_lib.data.sets import imagenet

    workers = default_workers() if arguments.workers is None else arguments.workers
    for split in ("train", "val"):
        images = imagenet(split, arguments.source)
        packed = pack(images, arguments.out / split, arguments.form, arguments.shorter, workers)
        print(f"{arguments.out / split}: {len(packed):,} of {len(images):,} images")
