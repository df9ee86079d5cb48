"""locate: Algorithms 1 and 2 on a graph of the paper or of the user."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "locate",
        help="Algorithms 1 and 2: the latents that the two sides of a mask share",
        description="Print c, s_m and s_mc of Theorem 1, for example: python -m mae_lib locate figure_4 x1 x2",
    )
    parser.add_argument("graph", help="figure_1, figure_2, figure_4, or a file with an edge, 'parent child', on a line")
    parser.add_argument("masked", nargs="*", help="names of the masked observables")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
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
