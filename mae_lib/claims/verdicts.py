"""The ledger: the paper's claims, the measurements, and the verdict that a rule derives from them.

A claim is *supported* when every ordering that it needs holds with confidence, *contradicted* when some are reversed
with confidence and none holds, *mixed* when some hold and some are reversed, *undecided* when nothing is reversed and
not all hold, and *not run* if something was not measured. One seed leaves a claim undecided, but it may lean.
`mae_lib.claims.orderings` defines when an ordering holds. No verdict is written by hand: a notebook passes its table,
and the rule in `results/claims.yaml` decides.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mae_lib.claims.claims import REPEATED, Claim, Lean, Verdict, Word
from mae_lib.claims.guards import rows_of
from mae_lib.claims.orderings import Basis, Finding, Measured, MissingData, Ordering, basis_of, holm
from mae_lib.claims.rules import apply_rule
from mae_lib.folders import runs_folder
from mae_lib.metrics.names import is_hits
from mae_lib.presets import preset_word

_BASES: dict[Basis, str] = {
    "seeds and images": "Intervals are over {count} {over} and over test images{paired}.",
    "seeds": "Intervals are over {count} {over}{paired}.",
    "images": "One {one}: intervals are over {count} images and do not cover what another {one} would give.",
    "one seed": "One {one}, so there are no intervals.",
    "exact": "The numbers are exact.",
}


def _check_columns(claim: Claim, frame: pd.DataFrame) -> None:
    wanted = ["successes", "trials"] if claim.series == "none" else [claim.series, "value"]
    wanted += ["metric"] if len(claim.metrics) > 1 else []
    if missing := [name for name in wanted if name not in frame]:
        raise ValueError(f"the table for claim {claim.id!r} lacks {missing}: it needs the columns {wanted}")


def _findings(claim: Claim, frame: pd.DataFrame, basis: Basis) -> tuple[list[Finding], list[str]]:
    """Every ordering of the claim's metrics, corrected together, and why some tested nothing."""
    orderings: list[Ordering] = []
    untested: list[Finding] = []
    reasons: dict[str, None] = {}
    for metric in claim.metrics:
        if (rows := rows_of(frame, metric)).empty:
            raise MissingData(f"“{metric}” was not measured")
        found = apply_rule(claim.rule, Measured.from_table(rows, claim.series, metric, basis))
        broken = [
            guard.otherwise
            for guard in claim.guards
            if metric in guard.metrics and not guard.passes(frame, claim.series, metric, claim.confidence)
        ]
        if not broken:
            orderings += found
            continue
        reasons |= dict.fromkeys(f"{metric}: {reason}" for reason in broken)
        untested += [Finding(one.what, "no test", one.numbers) for one in holm(found, claim.confidence)]
    return holm(orderings, claim.confidence, cap=basis in ("images", "one seed")) + untested, list(reasons)


def word(findings: Sequence[Finding], one_seed: bool = False) -> Word:
    """The verdict on a claim whose orderings came out like this."""
    outcomes = Counter(finding.outcome for finding in findings)
    if one_seed:
        return "undecided"
    if outcomes["holds"] == len(findings):
        return "supported"
    if outcomes["reversed"]:
        return "mixed" if outcomes["holds"] else "contradicted"
    return "undecided"


def _lean(findings: Sequence[Finding]) -> Lean | None:
    """The direction that one seed suggests: "supported" if all orderings lean as claimed, "against" if none does."""
    outcomes = {finding.outcome for finding in findings}
    if outcomes == {"leans"}:
        return "supported"
    return "against" if outcomes <= {"leans against", "tie"} and "leans against" in outcomes else None


def _why(claim: Claim, frame: pd.DataFrame, findings: Sequence[Finding], basis: Basis, reasons: list[str]) -> str:
    if "trials" in findings[0].numbers:
        one = f" One {REPEATED[claim.over]}." if basis == "one seed" else ""
        return "; ".join(finding.what for finding in findings) + "." + one
    outcomes = Counter(finding.outcome for finding in findings)
    once = basis in ("images", "one seed")
    if once:
        told = f"Orderings that lean towards the claim: {outcomes['leans']} of {len(findings)}."
    else:
        told = f"Orderings that hold: {outcomes['holds']} of {len(findings)}"
        told += f"; reversed: {outcomes['reversed']}." if outcomes["reversed"] else "."
    others = [finding for finding in findings if finding.outcome not in ("holds", "no test")]
    if 0 < len(others) <= 3 and not once:  # longer lists are left to the table
        told += f" Not holding: {'; '.join(map(_not, others))}."
    if reasons:
        told += f" Not tested: {'; '.join(reasons)}."
    counts = sorted({finding.numbers["count"] for finding in findings})
    count = " to ".join(f"{end:,}" for end in dict.fromkeys((counts[0], counts[-1])))
    paired = ", paired" if "difference" in findings[0].numbers else ""  # a comparison with a limit is not paired
    based = _BASES[basis].format(count=count, over=claim.over, one=REPEATED[claim.over], paired=paired)
    return f"{told} {based}{_left_out(claim, frame, basis)}"


def _not(finding: Finding) -> str:
    seen = finding.numbers["seen"]
    power = f"; smallest detectable: {seen:.2g}" if seen > 0 and finding.outcome != "reversed" else ""
    return f"{finding.what.replace(': ', ', ', 1)} ({finding.outcome}{power})"


def _left_out(claim: Claim, frame: pd.DataFrame, basis: Basis) -> str:
    """A sentence on what an interval over means of images leaves out about other images."""
    if basis != "seeds" or "count" not in frame:
        return ""
    counted = [metric for metric in claim.metrics if is_hits(metric)]
    if len(counted) == len(claim.metrics):
        return " The intervals treat each mask's test images as its own, though all masks share them."
    names = ", ".join(metric for metric in claim.metrics if metric not in counted)
    return f" All seeds share their test images, and what others would give is left out ({names})."


def decide(claim: Claim, table: pd.DataFrame | Sequence[Mapping[str, Any]] | None) -> Verdict:
    """The verdict on a claim from a tidy table: a DataFrame or a list of dicts, one measurement per row.

    Columns: the claim's series (`ratio`, `unit` or `encoder`), `value`, `metric` if the claim has several, `seed` and
    `image` (leave both out for exact numbers), or `count`, the images behind a mean. For a rule that counts:
    `successes` and `trials`, and `seed` where they count trained models, so that one seed is marked.

    Raises ValueError for a table that lacks a column, or has two values for one measurement. A missing point, or a
    value that is not finite, gives the verdict "not run".
    """
    frame = pd.DataFrame(table if table is not None else [])
    if frame.empty:
        return Verdict(claim.id, "not run", "Nothing was measured.")
    _check_columns(claim, frame)
    kept = rows_of(frame, claim.metrics[0]) if len(claim.metrics) == 1 else frame[frame["metric"].isin(claim.metrics)]
    basis = basis_of(kept if len(kept) else frame)
    try:
        findings, reasons = _findings(claim, frame, basis)
    except MissingData as gap:
        return Verdict(claim.id, "not run", f"{gap}.")
    once = basis in ("images", "one seed")
    seeds = 0 if basis == "exact" else int(kept["seed"].nunique()) if "seed" in kept else 1
    said = word(findings, once)
    why = _why(claim, frame, findings, basis, reasons)
    return Verdict(claim.id, said, why, basis, tuple(findings), seeds, _lean(findings) if once else None)


def verdicts_file(preset: str, notebook: str) -> Path:
    """Where the verdicts of one notebook at one preset are kept: `runs/verdicts/<preset>/<notebook>.json`.

    A preset given as a path is named after its file.
    """
    return runs_folder() / "verdicts" / preset_word(preset) / f"{Path(notebook).stem}.json"


def record(verdicts: Sequence[Verdict], path: Path | str, provenance: Mapping[str, Any]) -> None:
    """Write verdicts and their provenance as JSON, whole or not at all.

    Raises ValueError if a claim has two verdicts.
    """
    twice = [claim for claim, count in Counter(v.claim for v in verdicts).items() if count > 1]
    if twice:
        raise ValueError(f"claims {twice} have more than one verdict: record one each")
    entries = [verdict.as_json() for verdict in verdicts]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    content = json.dumps({"verdicts": entries, "provenance": dict(provenance)}, indent=1, allow_nan=False)
    temporary.write_text(content + "\n", encoding="utf-8")
    os.replace(temporary, path)
