"""Executed notebooks, read back: what their run cards and verdict boxes say, without running anything."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

import nbformat

from mae_lib.reporting.ledger import Word

_BOX = re.compile(r'<div class="mae-verdict mae-([a-z-]+)" role="note" id="claim-([^"]+)">')
_CARD = re.compile(r'data-record="([^"]*)"')


@dataclass(frozen=True)
class Page:
    """One executed notebook."""

    name: str
    html: str  # of all its outputs, one after the other
    code: str

    @cached_property
    def record(self) -> Mapping[str, Any] | None:
        """The provenance that its run card shows; None for a notebook without a card."""
        found = _CARD.search(self.html)
        return json.loads(unescape(found[1])) if found else None

    @cached_property
    def verdicts(self) -> dict[str, Word]:
        """The verdicts that it drew, by claim."""
        return {unescape(claim): kind.replace("-", " ") for kind, claim in _BOX.findall(self.html)}

    @property
    def trained(self) -> bool:
        """Whether it takes models that are trained before it; where it trains its own, its time holds that."""
        return "mae_lib.training.series" in self.code and ".train(" not in self.code


def read(folder: Path) -> dict[str, Page]:
    """Every executed notebook of a folder by its name, in the order of the names."""
    return {path.stem: _page(path) for path in sorted(folder.glob("*.ipynb"))}


def _page(path: Path) -> Page:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs if "data" in output]
    html = "\n".join(str(output["data"]["text/html"]) for output in outputs if "text/html" in output["data"])
    return Page(path.stem, html, "\n".join(cell.source for cell in cells))
