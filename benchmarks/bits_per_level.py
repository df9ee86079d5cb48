"""Seconds of the exact bits per level, beside drawn images with as many ratios, on grammars of growing size.

    OMP_NUM_THREADS=1 python benchmarks/bits_per_level.py [--out results/speed.json]

Drawn images give a mean with an error; the images that would bring it to 1% of the highest level's bits are told too.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from record import record, table

from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.grammars import code_grammar
from mae_lib.theory.information import expected_bits
from mae_lib.theory.mask_levels import IndependentUnits
from mae_lib.theory.sampled_information import sampled_bits

RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)
GRAMMARS = {
    "figurines": {},
    "figurines, 4 patches a corner": {"copies": 4},
    "quadtree of 64": {"classes": 8, "branching": (4, 4, 4)},
    "quadtree of 256": {"classes": 8, "branching": (4, 4, 4, 4)},
}


def fastest(repeats: int, call: Callable[[], object]) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def drawn(tree: DiscreteTree, images: int) -> np.ndarray:
    """The highest level's bits of single images at ratio 0.75, after all ratios are done: float64 (images,)."""
    rng = np.random.default_rng(0)
    shown = tree.sample(images, rng)
    level = rng.random(shown.shape)
    return [sampled_bits(tree, level < r, shown)[:, -1] for r in RATIOS][RATIOS.index(0.75)]


def measure(name: str, images: int, repeats: int) -> dict[str, object]:
    tree = code_grammar(**GRAMMARS[name])
    laws = [IndependentUnits(r) for r in RATIOS]
    exact = fastest(repeats, lambda: expected_bits(tree, laws))
    one = drawn(tree, images)
    return {
        "grammar": name,
        "patches": len(tree.hierarchy.observables),
        "exact, s": round(exact, 4),
        "drawn images": images,
        "drawn, s": round(fastest(repeats, lambda: drawn(tree, images)), 4),
        "images for 1%": int(one.var() / (0.01 * one.mean()) ** 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="keep the figures in this JSON file, e.g. results/speed.json")
    arguments = parser.parse_args()
    rows = []
    for name in GRAMMARS:
        rows.append(measure(name, arguments.images, arguments.repeats))
        print(table(rows[-1:]), flush=True)
    record(arguments.out, "bits per level", rows, {"ratios": list(RATIOS), "images": arguments.images, "device": "cpu"})


if __name__ == "__main__":
    main()
