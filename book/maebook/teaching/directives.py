"""MyST directives of a Markdown cell, taken apart and put together again.

Only what these notebooks use: fences of backticks or colons, `:key: value` options, a body that may hold other fences.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?P<rest>.*)$")
_NAMED = re.compile(r"^\{(?P<name>[^}]+)\}[ \t]*(?P<argument>.*)$")
_OPTION = re.compile(r"^:(?P<key>[\w-]+):[ \t]*(?P<value>.*)$")


@dataclass(frozen=True)
class Directive:
    """One fenced directive, such as {exercise} or {admonition}: `text` is the whole of it, fences included."""

    name: str
    argument: str
    text: str
    body: str
    options: dict[str, str] = field(default_factory=dict)


def _directive(name: str, argument: str, inside: list[str], text: str) -> Directive:
    options = {}
    while inside and (match := _OPTION.match(inside[0])):
        options[match["key"]] = match["value"].strip()
        inside = inside[1:]
    return Directive(name, argument.strip(), text, "\n".join(inside).strip("\n"), options)


def pieces(text: str) -> Iterator[str | Directive]:
    """The text in order: plain stretches as they stand, directives taken apart. Plain code fences count as text.

    Raises ValueError for a fence that is never closed.
    """
    plain, lines, at = [], text.split("\n"), 0
    while at < len(lines):
        match = _FENCE.match(lines[at])
        if not match:
            plain.append(lines[at])
            at += 1
            continue
        mark = match["fence"]
        closing = re.compile(rf"^{re.escape(mark[0])}{{{len(mark)},}}\s*$")
        end = next((i for i in range(at + 1, len(lines)) if closing.match(lines[i])), None)
        if end is None:
            raise ValueError(f"the fence {lines[at]!r} is never closed")
        named = _NAMED.match(match["rest"])
        whole = lines[at : end + 1]
        if named:
            if any(line.strip() for line in plain):
                yield "\n".join(plain).strip("\n")
            plain = []
            yield _directive(named["name"], named["argument"], whole[1:-1], "\n".join(whole))
        else:
            plain += whole
        at = end + 1
    if any(line.strip() for line in plain):
        yield "\n".join(plain).strip("\n")
