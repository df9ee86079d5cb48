"""A graph from a text file: one edge per line, `parent child`."""

import re
from pathlib import Path

_HEADS = {("parent", "child"), ("source", "target"), ("from", "to"), ("u", "v")}


def read_edges(file: Path) -> list[tuple[str, str]]:
    """The edges of a file: two names per line, separated by white space or a comma; '# ...' is a comment.

    Raises ValueError, naming the line, for anything else, which would otherwise be read as another graph.
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
