"""Executed notebooks, read back: the run and the verdicts that they handed over, without running anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat

from mae_lib.claims.claims import Claim, Verdict, Word
from maebook.bundles import VERDICT, bundles, run_of
from maebook.strongest import Result, own_result, standing


@dataclass(frozen=True)
class Page:
    """One executed notebook."""

    name: str
    book: nbformat.NotebookNode

    @cached_property
    def record(self) -> Mapping[str, Any] | None:
        """The provenance of its run, as `run_of` gives it."""
        return run_of(self.book)

    @cached_property
    def verdicts(self) -> dict[str, Word]:
        """The verdicts that it drew from its own run, by claim."""
        return {claim: result.verdict.verdict for claim, result in self.own.items()}

    @cached_property
    def own(self) -> dict[str, Result]:
        """The same with the run that they rest on."""
        drawn = map(Verdict.from_json, bundles(self.book, VERDICT))
        return {one.claim: own_result(one, self.record) for one in drawn}

    @property
    def trained(self) -> bool:
        """Whether it takes models that are trained before it; where it trains its own, its time holds that."""
        code = "\n".join(cell.source for cell in self.book.cells if cell.cell_type == "code")
        return "mae_lib.studies.series" in code and ".train(" not in code


def stands(claim: Claim, pages: Mapping[str, Page]) -> Result:
    """What stands for a claim: the strongest of the published runs and that of its page, if it was executed."""
    page = pages.get(claim.notebook)
    return standing(claim, page.own.get(claim.id) if page else None)


def drawn(claim: Claim, pages: Mapping[str, Page]) -> bool:
    """Whether its page holds a line for it, which a link may lead to."""
    return claim.notebook in pages and claim.id in pages[claim.notebook].own


def read(folder: Path) -> dict[str, Page]:
    """Every executed notebook of a folder by its name, in the order of the names."""
    return {path.stem: Page(path.stem, nbformat.read(path, as_version=4)) for path in sorted(folder.glob("*.ipynb"))}
