"""What a line `<!-- made: NAME ARGUMENTS -->` in the book's prose stands for."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from maebook.sphinx import front, hero, tables, today, weights
from maebook.sphinx.chapters import chapter_map
from maebook.sphinx.cite import citation
from maebook.sphinx.executed import Page
from maebook.sphinx.reference import reference
from maebook.sphinx.source_pages import beside

_LINE = re.compile(r"^<!-- made: ([a-z-]+)((?: \S+)*) -->$", re.MULTILINE)

_MAKERS: dict[str, Callable[..., str]] = {
    "hero": lambda folder, pages: hero.hero(),
    "counts": lambda folder, pages: front.counts(pages),
    "found": lambda folder, pages: front.found(pages),
    "chapter-map": chapter_map,
    "cite": citation,
    "paper-map": tables.paper_map,
    "notation": tables.notation,
    "assumptions": tables.assumptions,
    "status": tables.build_status,
    "weights": weights.weights,
    "world-cards": weights.world_cards,
    "stands": lambda folder, pages, *claims: f"{tables.status(claims, pages)}.",
    "unit-sweeps": today.unit_sweeps,
    "units-answer": today.units_answer,
    "units-in-sight": today.units_in_sight,
    "reference": lambda folder, pages, room: reference(room),
    "beside": lambda folder, pages, *names: beside(*names),
}


def filled(text: str, folder: Path, pages: Mapping[str, Page]) -> str:
    """A page's text with its lines filled in. Raises ValueError for a name that nothing makes."""

    def fill(found: re.Match) -> str:
        if found[1] not in _MAKERS:
            raise ValueError(f"nothing makes {found[1]!r}: choose one of {', '.join(_MAKERS)}")
        return _MAKERS[found[1]](folder, pages, *found[2].split())

    return _LINE.sub(fill, text)
