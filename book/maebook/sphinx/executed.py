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

from mae_lib.claims.claims import Claim, Verdict, Word
from maebook.strongest import Result, own_result, standing

_BOX = re.compile(r'<div class="mae-verdict mae-([a-z-]+)" role="note" id="claim-([^"]+)" data-seeds="(\d+)">')
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
        """The verdicts that it drew from its own run, by claim."""
        return {claim: result.verdict.verdict for claim, result in self.own.items()}

    @cached_property
    def own(self) -> dict[str, Result]:
        """The same with the run that they rest on."""
        return {
            unescape(claim): own_result(
                Verdict(unescape(claim), kind.replace("-", " "), "", seeds=int(seeds)), self.record
            )
            for kind, claim, seeds in _BOX.findall(self.html)
        }

    @property
    def trained(self) -> bool:
        """Whether it takes models that are trained before it; where it trains its own, its time holds that."""
        return "mae_lib.studies.series" in self.code and ".train(" not in self.code


def stands(claim: Claim, pages: Mapping[str, Page]) -> Result:
    """What stands for a claim: the strongest of the published runs and that of its page, if it was executed."""
    page = pages.get(claim.notebook)
    return standing(claim, page.own.get(claim.id) if page else None)


def drawn(claim: Claim, pages: Mapping[str, Page]) -> bool:
    """Whether its page holds a box for it, which a link may lead to."""
    return claim.notebook in pages and claim.id in pages[claim.notebook].own


def read(folder: Path) -> dict[str, Page]:
    """Every executed notebook of a folder by its name, in the order of the names."""
    return {path.stem: _page(path) for path in sorted(folder.glob("*.ipynb"))}


def _page(path: Path) -> Page:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs if "data" in output]
    html = "\n".join(str(output["data"]["text/html"]) for output in outputs if "text/html" in output["data"])
    return Page(path.stem, html, "\n".join(cell.source for cell in cells))
