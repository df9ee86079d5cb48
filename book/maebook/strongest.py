"""One verdict a claim: that of the strongest run that has it, which the front page, chips, the paper map and the ledger
show alike.

Strongest is the run with most seeds, and of equals the one of the largest images, and of these the one that saw most of
them. A page's own run competes with the published ones. A published folder with a file `superseded.md`, which says why,
is a record: it is shown beside the others and decides only what no other run has.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from mae_lib.claims.claims import REPEATED, Claim, Verdict, load_claims, paper_table
from mae_lib.claims.pages import SECTION_OF
from mae_lib.claims.verdicts import decide
from mae_lib.presets import load_preset
from mae_lib.studies.results import published
from mae_lib.studies.suggestions import (
    FOLDER,
    SUGGESTIONS,
    published_provenance,
    published_suggestion,
    verdicts_of,
)
from maebook.published_runs import HERE, PAPER, described


@dataclass(frozen=True)
class Result:
    """What one run says of one claim: the run's key ("cpu"), what it is in words, its size and when it was finished."""

    key: str
    words: str
    verdict: Verdict
    size: tuple[int, int] = (0, 0)  # side of an image, images a run
    finished: str | None = None
    record: bool = False  # superseded by others
    whole: bool = True

    def late(self, claim: Claim) -> bool:
        """Whether the claim got its rule when this run was finished, and could be known."""
        return self.finished is not None and datetime.fromisoformat(claim.since) > datetime.fromisoformat(self.finished)


@cache
def results() -> dict[str, dict[str, Result]]:
    """What every published run, and the paper's own table, says of the claims that it has: key -> claim -> result."""
    found: dict[str, dict[str, Result]] = {}
    for one in published():
        words = {section: described(held) for section in SECTION_OF.values() if (held := one.holding(section))}
        finished = one.provenance.get("finished")
        found[one.name] = {
            claim: Result(one.name, words[section], verdict, one.size, finished, one.superseded)
            for claim, verdict in one.verdicts().items()
            if (section := load_claims()[claim].measured) in words
        }
    found[FOLDER] = {claim: result for name in SUGGESTIONS for claim, result in _suggestion(name).items()}
    printed = {claim.id: of_paper(claim) for claim in load_claims().values() if claim.paper_table}
    found[PAPER] = {claim: Result(PAPER, "the paper's own printed numbers", said) for claim, said in printed.items()}
    return {
        key: ran
        for key, by in found.items()
        if (ran := {claim: one for claim, one in by.items() if one.verdict.verdict != "not run"})
    }


def _suggestion(name: str) -> dict[str, Result]:
    if not (record := published_provenance(name)) or (table := published_suggestion(name)).empty:
        return {}
    seeds, parameters = table["seed"].nunique(), record["parameters"]
    whole = record["wall_seconds"] is not None
    words = f"{parameters['preset']}, {seeds} seed{'s' * (seeds != 1)}{'' if whole else ', not finished'}"
    scale = parameters.get("scale", {})
    size = scale.get("image_size", 0), scale.get("images", 0)
    return {
        claim: Result(FOLDER, words, verdict, size, record.get("finished"), whole=whole)
        for claim, verdict in verdicts_of(name).items()
    }


def of_paper(claim: Claim) -> Verdict | None:
    """What the claim's rule says of the paper's own table; None where the paper prints no numbers for it."""
    return decide(claim, paper_table(claim.paper_table, claim.series)) if claim.paper_table else None


def own_result(verdict: Verdict, record: Mapping[str, Any] | None) -> Result:
    """A verdict that a page of this build has drawn, with its provenance."""
    parameters = (record or {}).get("parameters", {})
    preset, scale = str(parameters.get("preset", "")), parameters.get("scale") or {}
    with suppress(KeyError, ValueError):  # a page without a preset, or the word of one whose file is elsewhere
        scale = load_preset(parameters["preset"])["scale"] | (scale if isinstance(scale, dict) else {})
    size = int(scale.get("image_size", 0)), int(scale.get("images", 0))
    seeds = f", {verdict.seeds} seed{'s' * (verdict.seeds != 1)}" if verdict.seeds else ""
    return Result(HERE, f"{HERE}, {preset}{seeds}" if preset else HERE, verdict, size, (record or {}).get("finished"))


def strongest(claim: str, own: Result | None = None) -> Result | None:
    """The result that stands for a claim, of the published runs and a page's own; None where none has it.

    An `own` verdict "not run" counts as none, and so does the paper's table.
    """
    there = [by[claim] for key, by in results().items() if key != PAPER and claim in by and by[claim].whole]
    here = [own] if own is not None and own.verdict.verdict != "not run" else []
    return max(there + here, key=lambda one: (not one.record, one.verdict.seeds, *one.size), default=None)


def standing(claim: Claim, own: Result | None = None) -> Result:
    """`strongest`, or a result "not run"."""
    found = strongest(claim.id, own)
    return found or Result("", "", Verdict(claim.id, "not run", "Neither this build nor a published run decides it."))


def short(result: Result) -> str:
    """A run in few words: "cpu, 5 seeds"; its key alone where seeds do not matter."""
    count, many = result.verdict.seeds, load_claims()[result.verdict.claim].over
    return f"{result.key}, {count} {many if count != 1 else REPEATED[many]}" if count else result.key
