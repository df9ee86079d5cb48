"""A verdict on a page: a line with icon, word and the claim in our words; it unfolds into why, and every number."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from mae_lib.claims.claims import ICONS, Claim, Verdict, Word, load_claims, place
from mae_lib.claims.orderings import Finding
from mae_lib.claims.verdicts import decide
from maebook.bundles import VERDICT, emit

OWN = "this page’s own run"
_HEADS = {"p": "p (Holm)", "seen": "smallest detectable"}
_LAST = ("low", "high", "p", "seen", "count")  # behind the number itself: a notebook's JSON keeps no order


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if math.isnan(value) else f"{0.0 if abs(value) < 1e-12 else value:.3g}"  # what is left of rounding


def numbers_table(findings: Sequence[Finding]) -> str:
    """Every ordering with its outcome and its numbers, folded."""
    first = [name for name in findings[0].numbers if name not in _LAST]
    names = sorted(first) + [name for name in _LAST if name in findings[0].numbers]
    head = "".join(f'<th scope="col">{escape(_HEADS.get(name, name))}</th>' for name in ("what", "outcome", *names))
    rows = [
        f'<tr><th scope="row">{escape(f.what)}</th><td>{f.outcome}</td>'
        + "".join(f"<td>{_number(f.numbers[name])}</td>" for name in names)
        + "</tr>"
        for f in findings
    ]
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<details><summary>The numbers</summary><div class="mae-scroll" tabindex="0">{table}</div></details>'


def kind(word: Word) -> str:
    """A verdict's word as a part of a class name: "not-run"."""
    return word.replace(" ", "-")


def in_words(verdict: Verdict) -> str:
    """The verdict with where it leans and whether one seed is all there is: "undecided, leans against (one seed)"."""
    lean = f", leans {verdict.lean}" if verdict.lean else ""
    return f"{verdict.verdict}{lean}{' (one seed)' if verdict.one_seed else ''}"


def label(verdict: Verdict) -> str:
    """Icon and words."""
    words = in_words(verdict)
    return f"{ICONS[verdict.verdict]} {words[0].upper()}{words[1:]}"


def part_html(verdict: Verdict, about: str) -> str:
    """One run's verdict: what it is, which run, why, and the numbers."""
    return (
        f'<p class="mae-title"><strong>{label(verdict)}</strong> <span>{about}</span></p><p>{escape(verdict.why)}</p>'
        + (numbers_table(verdict.findings) if verdict.findings else "")
    )


def verdict_html(
    claim: Claim,
    verdict: Verdict,
    run: str = OWN,
    best: Verdict | None = None,
    head: str = "",
    behind: str = "",
) -> str:
    """A line with the verdict's chip and the claim; it unfolds into where the claim stands, why, and the numbers.

    The book shows the verdict `best` of the strongest run, with `head` above that of the page's own `run`, and all
    others `behind`.
    """
    top = best or verdict
    about = f"{escape(place(claim.section))}{', a claim of this book' if claim.ours else ''}"
    note = claim.paper_contradicts_itself
    parts = [
        f'<p class="mae-claim">{about}.</p>',
        f"<p>The paper contradicts itself here. {escape(note)}</p>" if note else "",
        head,
        f'<div class="mae-own mae-{kind(verdict.verdict)}">{part_html(verdict, escape(run))}</div>',
        behind,
    ]
    chip = f'<span class="mae-chip mae-{kind(top.verdict)}">{ICONS[top.verdict]} {escape(in_words(top))}</span>'
    said = f"{escape(claim.claim)}{' (ours)' * claim.ours}"
    line = f'<details class="mae-line" id="claim-{escape(claim.id)}"><summary>{chip} {said}</summary>'
    return f'{line}<div class="mae-verdict mae-{kind(top.verdict)}" role="note">{"".join(parts)}</div></details>'


def judge(claim_id: str, table: pd.DataFrame | Sequence[Mapping[str, Any]] | None) -> None:
    """Decide a claim by its id, show its line, and hand over the verdict, which the runner records.

    Raises ValueError for an unknown id, and as `decide` does.
    """
    claims = load_claims()
    if claim_id not in claims:
        raise ValueError(f"claim {claim_id!r} is unknown: choose one of {', '.join(claims)}")
    verdict = decide(claims[claim_id], table)
    emit(VERDICT, verdict.as_json(), verdict_html(claims[claim_id], verdict))
