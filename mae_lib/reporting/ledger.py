"""The ledger: what the paper claims, what was measured, and the verdict that a rule draws from it.

A claim is *reproduced* when every ordering that it needs holds, *partly* when some hold or all at least lean its way,
*not reproduced* otherwise, and *not run* where a measurement is missing. `mae_lib.reporting.rules` says when an
ordering holds. No verdict is typed: a notebook hands in its table, and the rule in `results/claims.yaml` decides.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from IPython.display import HTML, display

from mae_lib.folders import checkout, runs_folder
from mae_lib.presets import preset_word
from mae_lib.reporting.rules import Basis, Finding, Measured, MissingData, apply_rule, basis_of, check_rule

SERIES = ("ratio", "unit", "encoder", "boundary", "masks", "mask", "condition", "none")
REPEATED = {"seeds": "seed", "processes": "process"}  # what a column `seed` tells apart, many and one
Word = Literal["reproduced", "partly", "not reproduced", "not run"]
ICONS: dict[Word, str] = {"reproduced": "✔", "partly": "◐", "not reproduced": "✘", "not run": "–"}
_BASES: dict[Basis, str] = {
    "seeds": "Intervals are over {count} {over}{paired}.",
    "images": "One {one}: intervals are over {count} images and do not cover what another {one} would give.",
    "one seed": "One {one}, so there are no intervals, and an ordering can lean but not hold.",
    "exact": "The numbers are exact.",
}


@dataclass(frozen=True)
class Claim:
    """One claim of the paper and the rule that decides it; `results/claims.yaml` explains the fields."""

    id: str
    section: str
    claim: str
    notebook: str
    metrics: tuple[str, ...]
    series: str
    rule: dict[str, Any]
    confidence: float
    over: str = "seeds"
    ours: bool = False
    also: tuple[str, ...] = ()
    figure: str | None = None
    paper_table: str | None = None
    paper_contradicts_itself: str | None = None

    def __post_init__(self) -> None:
        try:
            check_rule(self.rule)
            if self.series not in SERIES or (self.series == "none") != (self.rule["kind"] == "always"):
                raise ValueError(
                    f"series {self.series!r} does not fit: it is `none` for `always`, else one of {SERIES}"
                )
            if self.over not in REPEATED:
                raise ValueError(f"over {self.over!r} is unknown: choose one of {tuple(REPEATED)}")
            if not 0 < self.confidence < 1:
                raise ValueError(f"confidence {self.confidence!r} must lie between 0 and 1")
            if not self.metrics:
                raise ValueError("metrics is empty: name what is measured")
        except ValueError as error:
            raise ValueError(f"claim {self.id!r}: {error}") from None


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: the word, why in one or two sentences, what the intervals are over, and every number."""

    claim: str
    verdict: Word
    why: str
    basis: Basis | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def one_seed(self) -> bool:
        """Whether the verdict rests on one run a point, so that another seed might turn it."""
        return self.basis in ("images", "one seed")


def _results(name: str) -> dict[str, Any]:
    folder = (checkout() or Path(__file__).resolve().parents[1]) / "results"
    return yaml.safe_load((folder / name).read_text(encoding="utf-8"))


@cache
def load_paper() -> dict[str, Any]:
    """Every number of the paper's Tables 1 to 3, as `results/paper.yaml` holds them: table -> columns and series."""
    return _results("paper.yaml")


def paper_table(name: str, series: str) -> pd.DataFrame:
    """One series of a paper's table, tidy: columns `series` ("ratio" or "unit"), `metric` and `value`; exact numbers.

    Raises ValueError for a table or a series that the paper does not have.
    """
    tables = load_paper()
    if name not in tables or series not in tables[name]["series"]:
        known = [f"{table} ({', '.join(content['series'])})" for table, content in tables.items()]
        raise ValueError(f"the paper has no {name!r} by {series!r}: choose one of {', '.join(known)}")
    table = tables[name]
    points = table["series"][series].items()
    rows = [(point, metric, value) for point, values in points for metric, value in zip(table["columns"], values)]
    return pd.DataFrame(rows, columns=[series, "metric", "value"])


@cache
def load_claims() -> dict[str, Claim]:
    """The claims of `results/claims.yaml` by id, in the order of the paper.

    Raises ValueError naming the claim for an unknown field, rule or series, or an id that is given twice.
    """
    content = _results("claims.yaml")
    claims: dict[str, Claim] = {}
    for entry in content["claims"]:
        if entry.get("id") in claims:
            raise ValueError(f"claim {entry['id']!r} is given twice")
        try:
            lists = {name: tuple(entry.get(name, ())) for name in ("metrics", "also")}
            claim = Claim(**content["defaults"] | entry | lists)
        except TypeError as error:
            raise ValueError(f"claim {entry.get('id')!r}: {error}") from None
        claims[claim.id] = claim
    return claims


def _check_columns(claim: Claim, frame: pd.DataFrame) -> None:
    wanted = ["successes", "trials"] if claim.series == "none" else [claim.series, "value"]
    wanted += ["metric"] if len(claim.metrics) > 1 else []
    if missing := [name for name in wanted if name not in frame]:
        raise ValueError(f"the table for claim {claim.id!r} lacks {missing}: it needs the columns {wanted}")


def _findings(claim: Claim, frame: pd.DataFrame, basis: Basis) -> list[Finding]:
    findings = []
    for metric in claim.metrics:
        rows = frame[frame["metric"] == metric] if "metric" in frame else frame
        if rows.empty:
            raise MissingData(f"{metric} was not measured")
        findings += apply_rule(claim.rule, Measured(rows, claim.series, metric, basis, claim.confidence))
    return findings


def _word(findings: Sequence[Finding]) -> Word:
    outcomes = Counter(finding.outcome for finding in findings)
    if outcomes["holds"] == len(findings):
        return "reproduced"
    return "partly" if outcomes["holds"] or not outcomes["fails"] else "not reproduced"


def _why(findings: Sequence[Finding], basis: Basis, over: str) -> str:
    held = sum(finding.outcome == "holds" for finding in findings)
    if "trials" in findings[0].numbers:
        return "; ".join(finding.what for finding in findings) + "."
    short = [
        f"{f.what} ({'only leans' if f.outcome == 'leans' else 'fails'})" for f in findings if f.outcome != "holds"
    ]
    named = f" Not: {'; '.join(short)}." if 0 < len(short) <= 3 else ""  # more are better read in the table
    sentence = f"Orderings that hold: {held} of {len(findings)}.{named}"
    counts = sorted({finding.numbers["count"] for finding in findings})
    count = " to ".join(f"{end:,}" for end in dict.fromkeys((counts[0], counts[-1])))
    paired = ", paired" if "difference" in findings[0].numbers else ""  # a value below a limit has no pair
    return f"{sentence} {_BASES[basis].format(count=count, over=over, one=REPEATED[over], paired=paired)}"


def decide(claim: Claim, table: pd.DataFrame | Sequence[Mapping[str, Any]] | None) -> Verdict:
    """The verdict on a claim from a tidy table: a DataFrame or a list of dicts, one measurement a row.

    Columns: the claim's series (`ratio`, `unit` or `encoder`), `value`, `metric` where the claim has several, `seed`
    and `image` (leave both out for exact numbers). For a rule `always`: `successes` and `trials`, and `seed` where they
    count trained models, so that one seed is marked.

    Raises ValueError for a table that lacks a column, or has two values for one measurement. A missing point, or a
    value that is not finite, gives the verdict "not run".
    """
    frame = pd.DataFrame(table if table is not None else [])
    if frame.empty:
        return Verdict(claim.id, "not run", "Nothing was measured.")
    _check_columns(claim, frame)
    basis = basis_of(frame)
    try:
        findings = _findings(claim, frame, basis)
    except MissingData as gap:
        return Verdict(claim.id, "not run", f"{gap}.")
    return Verdict(claim.id, _word(findings), _why(findings, basis, claim.over), basis, tuple(findings))


ELSEWHERE = "<!-- elsewhere -->"  # where the book sets what the same rule says of other results


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if math.isnan(value) else f"{0.0 if abs(value) < 1e-12 else value:.3g}"  # what is left of rounding


def numbers_table(findings: Sequence[Finding]) -> str:
    names = list(findings[0].numbers)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("what", "outcome", *names))
    rows = [
        f'<tr><th scope="row">{escape(f.what)}</th><td>{f.outcome}</td>'
        + "".join(f"<td>{_number(f.numbers[name])}</td>" for name in names)
        + "</tr>"
        for f in findings
    ]
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<details><summary>The numbers</summary><div class="mae-scroll" tabindex="0">{table}</div></details>'


def kind(verdict: Verdict) -> str:
    """The verdict's word as a part of a class name: "not-run"."""
    return verdict.verdict.replace(" ", "-")


def label(verdict: Verdict) -> str:
    """Icon and word, and whether one seed is all there is."""
    return f"{ICONS[verdict.verdict]} {verdict.verdict.capitalize()}{' (one seed)' if verdict.one_seed else ''}"


def place(section: str) -> str:
    """A section in words: "Section 3.1", or "Abstract"."""
    return section.capitalize() if section.isalpha() else f"Section {section}"


def verdict_html(claim: Claim, verdict: Verdict) -> str:
    """The verdict as a box: icon and word, the claim in our words, why, and the numbers folded."""
    about = f"{escape(place(claim.section))}{', a claim of this book' if claim.ours else ''}"
    note = claim.paper_contradicts_itself
    parts = [
        f'<div class="mae-verdict mae-{kind(verdict)}" role="note" id="claim-{escape(claim.id)}">',
        f'<p class="mae-title"><strong>{label(verdict)}</strong> <span>{about}</span></p>',
        f'<p class="mae-claim">{escape(claim.claim)}</p><p>{escape(verdict.why)}</p>',
        f"<p>The paper disagrees with itself here. {escape(note)}</p>" if note else "",
        numbers_table(verdict.findings) if verdict.findings else "",
        ELSEWHERE,
        "</div>",
    ]
    return "".join(parts)


def verdict_box(claim: Claim, verdict: Verdict) -> None:
    """Show `verdict_html` in a notebook."""
    display(HTML(verdict_html(claim, verdict)))


def judge(claim_id: str, table: pd.DataFrame | Sequence[Mapping[str, Any]] | None) -> Verdict:
    """Decide a claim by its id, show the box, and return the verdict to be recorded.

    Raises ValueError for an unknown id, and as `decide` does.
    """
    claims = load_claims()
    if claim_id not in claims:
        raise ValueError(f"claim {claim_id!r} is unknown: choose one of {', '.join(claims)}")
    verdict = decide(claims[claim_id], table)
    verdict_box(claims[claim_id], verdict)
    return verdict


def verdicts_file(preset: str, notebook: str) -> Path:
    """Where the verdicts of one notebook at one preset are kept: `runs/verdicts/<preset>/<notebook>.json`.

    A preset given by the path of its file goes by the name of that file.
    """
    return runs_folder() / "verdicts" / preset_word(preset) / f"{Path(notebook).stem}.json"


def record(verdicts: Sequence[Verdict], path: Path | str, provenance: Mapping[str, Any]) -> None:
    """Write verdicts and their provenance as JSON, whole or not at all; a number that is not finite becomes null.

    Raises ValueError when one claim is given two verdicts.
    """
    twice = [claim for claim, count in Counter(v.claim for v in verdicts).items() if count > 1]
    if twice:
        raise ValueError(f"claims {twice} have more than one verdict: record one each")
    entries = [asdict(verdict) | {"one_seed": verdict.one_seed} for verdict in verdicts]
    for finding in (finding for entry in entries for finding in entry["findings"]):
        finding["numbers"] = {k: v if math.isfinite(v) else None for k, v in finding["numbers"].items()}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    content = json.dumps({"verdicts": entries, "provenance": dict(provenance)}, indent=1, allow_nan=False)
    temporary.write_text(content + "\n", encoding="utf-8")
    os.replace(temporary, path)
