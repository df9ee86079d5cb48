"""locate: Algorithms 1 and 2 on a graph of the paper or of the user."""

import argparse
import re
from pathlib import Path
from typing import Any

_HEADS = {("parent", "child"), ("source", "target"), ("from", "to"), ("u", "v")}


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "locate",
        help="Algorithms 1 and 2: the latents that the two sides of a mask share",
        description="Print c, s_m and s_mc of Theorem 1, for example: python -m mae_lib locate figure_4 x1 x2",
    )
    parser.add_argument(
        "graph", help="figure_1, figure_2, figure_4, or a file of UTF-8 text with an edge on a line: 'parent child'"
    )
    parser.add_argument("masked", nargs="*", help="names of the masked observables")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    import networkx as nx

    from mae_lib.theory import LatentHierarchy, locate_shared_information

    if arguments.graph in ("figure_1", "figure_2", "figure_4"):
        hierarchy = getattr(LatentHierarchy, arguments.graph)()
    elif Path(arguments.graph).is_file():
        hierarchy = LatentHierarchy(nx.DiGraph(read_edges(Path(arguments.graph))))
    else:
        raise ValueError(f"graph {arguments.graph!r} is neither figure_1, figure_2 or figure_4 nor a file")
    shared = locate_shared_information(hierarchy, arguments.masked)
    for name in ("c", "s_m", "s_mc"):
        print(f"{name:>4} = {{{', '.join(sorted(map(str, getattr(shared, name))))}}}")


def read_edges(file: Path) -> list[tuple[str, str]]:
    """The edges of a file: on each line two names with a blank or a comma between them; '# ...' is a comment.

    Raises ValueError, which names the line, for anything else: it would otherwise be read as another graph.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text in UTF-8: save it as such") from None
    edges = [_edge(line, f"line {number} of {file}") for number, line in enumerate(lines, 1) if not _is_empty(line)]
    if not edges:
        raise ValueError(f"{file} holds no edge: write one on a line, such as: z1 x1")
    head = tuple(name.lower() for name in edges[0])
    if head in _HEADS and not {*edges[0]} & {name for edge in edges[1:] for name in edge}:
        raise ValueError(f"line 1 of {file} is a heading, {' '.join(edges[0])}: remove it")
    return edges


def _is_empty(line: str) -> bool:
    return not line.strip() or re.match(r"\s*#(\s|$)", line) is not None


def _edge(line: str, where: str) -> tuple[str, str]:
    names = re.split(r"\s*,\s*|\s+", line.strip())
    plain = all(name and name.isprintable() and not re.search("[\"'`;{}\\[\\]<>]", name) for name in names)
    if len(names) != 2 or not plain:
        wanted = "an edge, two names without quotes or brackets and a blank or a comma between them"
        raise ValueError(f"{where} is {line.strip()[:60]!r}: it must be {wanted}")
    return names[0], names[1]
