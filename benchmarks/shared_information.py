"""Time and memory of Theorem 1 for a batch of masks on a quadtree, against a networkx ancestor search for each mask.

    OMP_NUM_THREADS=1 python benchmarks/shared_information.py             # 4^10 pixels: half a minute, 1.3 GB
    OMP_NUM_THREADS=1 python benchmarks/shared_information.py --levels 7  # seconds

The engine's peak memory is read before networkx builds its graph. networkx is timed on one mask of the same tree, in
two ways: the idiom, a union of `nx.ancestors` over the observables, and the strongest form we know, one breadth-first
search from all observables of a side at once. The ratio is for the whole batch, masks x one mask.
"""

import argparse
import resource
import time
from collections.abc import Callable

import networkx as nx
import numpy as np

from mae_lib.theory import LatentHierarchy, locate_shared_information_batch


def best_of(repeats: int, call: Callable[[], object]) -> float:
    """Seconds of the fastest of `repeats` calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def union_of_ancestors(graph: nx.DiGraph, observables: list) -> set:
    found = set(observables)
    for x in observables:
        found |= nx.ancestors(graph, x)
    return found


def one_search(graph: nx.DiGraph, observables: list) -> set:
    layers = nx.bfs_layers(nx.reverse_view(graph), observables)
    return {node for layer in layers for node in layer}


def locate(graph: nx.DiGraph, sides: list[list], ancestors: Callable[[nx.DiGraph, list], set]) -> set:
    """c of one mask from the ancestors of its two sides."""
    split = ancestors(graph, sides[0]) & ancestors(graph, sides[1])
    return {z for z in split if split.isdisjoint(graph[z])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", type=int, default=10, help="the quadtree has 4^levels pixels (default 10)")
    parser.add_argument("--masks", type=int, default=64, help="masks in the batch (default 64)")
    parser.add_argument("--ratio", type=float, default=0.75, help="probability of a pixel to be masked (default 0.75)")
    args = parser.parse_args()

    start = time.perf_counter()
    hierarchy = LatentHierarchy.quadtree(2**args.levels)
    print(f"{hierarchy}: built in {time.perf_counter() - start:.3f} s")
    rng = np.random.default_rng(0)
    masks = np.stack([rng.random(4**args.levels, dtype=np.float32) < args.ratio for _ in range(args.masks)])
    seconds = best_of(5, lambda: locate_shared_information_batch(hierarchy, masks))
    batch = locate_shared_information_batch(hierarchy, masks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # ru_maxrss is in KiB on Linux
    words = [batch.c_words, batch.s_m_words, batch.s_mc_words, batch.split_words]
    copying = best_of(5, lambda: [array.copy() for array in (masks, *words)])
    size = sum(array.nbytes for array in (masks, *words)) / 2**20
    print(f"{args.masks} masks: {seconds:.4f} s, peak memory of the process {peak:.2f} GiB")
    print(f"copying its {size:.0f} MiB (masks in, words out): {copying:.4f} s, {copying / seconds:.2f} of the batch")

    graph = hierarchy.graph
    hidden = masks[0]
    sides = [[x for x, m in zip(hierarchy.observables, hidden) if m == side] for side in (True, False)]
    for name, ancestors in (("nx.ancestors of each pixel", union_of_ancestors), ("one search a side", one_search)):
        start = time.perf_counter()
        c = locate(graph, sides, ancestors)
        one = time.perf_counter() - start
        assert c == batch[0].c
        print(f"networkx, {name}: {one:.2f} s a mask, {one * args.masks / seconds:,.0f} times the batch")


if __name__ == "__main__":
    main()
