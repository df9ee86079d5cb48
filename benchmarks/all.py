"""Every benchmark in one run on one machine, into one file: `make benchmarks`, on a machine that does nothing else.

    python benchmarks/all.py [--device cuda] [--preset laptop] [--facebook PATH] [--out results/speed.json] [--quick]

What of it a page shows, and under which name, is said here alone. `--quick` only tries that everything runs.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Blocks as wide as the paper's, few enough for minutes on a CPU.
VIT_B = ["--preset", "paper", "--set", "world=figurines", "--set", "depth=4", "--set", "decoder_depth=2"]
VIT_B += ["--set", "batch=4"]
WIDER = ["--ratios", "0.75", "--wider", "1", "2", "3", "6"]


def blocks(section: str) -> list[str]:
    return ["--section", f"{section}, ViT-B blocks"]


def commands(arguments: argparse.Namespace) -> list[list[str]]:
    """Script and options of each, in turn."""
    small, device = ["--preset", arguments.preset], ["--device", arguments.device]
    facebook = ["--facebook", str(arguments.facebook)] if arguments.facebook else []
    few = ["--steps", "1"] if arguments.quick else []
    few_images = ["--images", "8", "--seconds", "0.1", "--workers", "0", "--batch", "8"] if arguments.quick else []
    wide = [*VIT_B, "--set", "image_size=64"] if arguments.quick else VIT_B
    return [
        ["pretraining", *small, *device, *facebook, *few],
        ["pretraining", *wide, *device, *facebook, "--ratios", "0.75", *(few or ["--steps", "5"]), *blocks("step")],
        ["pretraining", *small, *device, *facebook, *WIDER, *few, "--section", "step by width"],
        ["time_by_kind", *small, *device, *few],
        ["time_by_kind", *wide, *device, *(few or ["--steps", "3"]), *blocks("kinds")],
        ["growth", *small, *device, *few],
        ["data_loading", "--preset", "paper", *few_images],
        ["bits_per_level", *(["--images", "20", "--repeats", "1"] if arguments.quick else [])],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", default="laptop", help="of the small model (default: laptop)")
    parser.add_argument("--facebook", type=Path, metavar="PATH", help="a checkout of facebookresearch/mae")
    parser.add_argument("--out", type=Path, default=Path("results/speed.json"))
    parser.add_argument("--quick", action="store_true", help="a step of each, to try that it runs")
    arguments = parser.parse_args()
    for script, *options in commands(arguments):
        print(f"\n{script} {' '.join(options)}", flush=True)
        subprocess.run([sys.executable, HERE / f"{script}.py", *options, "--out", arguments.out], check=True)


if __name__ == "__main__":
    main()
