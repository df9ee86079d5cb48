"""The whole ledger at a glance: every claim with the verdict that the pages of one preset recorded."""

import json
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import Any

from IPython.display import HTML, display

from mae_lib.folders import runs_folder
from mae_lib.reporting.ledger import ICONS, Claim, Word, load_claims


@dataclass(frozen=True)
class Entry:
    """A claim, its verdict at one preset ("not run" where no page recorded one), and why."""

    claim: Claim
    verdict: Word
    why: str
    one_seed: bool = False


def gather(preset: str) -> list[Entry]:
    """Every claim of `results/claims.yaml` in its order, with what the executed pages of `preset` recorded.

    A verdict on a claim that is no longer in the file, or by a page that no longer decides it, is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((runs_folder() / "verdicts" / preset).glob("*.json")):
        for verdict in json.loads(file.read_text(encoding="utf-8"))["verdicts"]:
            found[f"{file.stem}/{verdict['claim']}"] = verdict
    entries = []
    for claim in load_claims().values():
        verdict = found.get(f"{claim.notebook}/{claim.id}")
        if verdict is None:
            entries.append(Entry(claim, "not run", "No page of this build decides it."))
        else:
            entries.append(Entry(claim, verdict["verdict"], verdict["why"], verdict["one_seed"]))
    return entries


def counts(entries: list[Entry]) -> str:
    """How many verdicts of each kind, in words: "3 reproduced, 1 partly"."""
    number = Counter(entry.verdict for entry in entries)
    return ", ".join(f"{number[word]} {word}" for word in ICONS if number[word])


def _row(entry: Entry) -> str:
    claim, page = entry.claim, f"{entry.claim.notebook}.html#claim-{entry.claim.id}"
    word = f"{ICONS[entry.verdict]} {entry.verdict}" + (" (one seed)" if entry.one_seed else "")
    where = word if entry.verdict == "not run" else f'<a href="{escape(page)}">{word}</a>'
    mine = " <em>A claim of this book.</em>" if claim.ours else ""
    return f'<tr><th scope="row">{escape(claim.claim)}{mine}</th><td>{where}</td><td>{escape(entry.why)}</td></tr>'


def ledger_html(entries: list[Entry]) -> str:
    """One table a section, headed by its counts; each verdict links to its box on the page that decides it."""
    tables = []
    for section in dict.fromkeys(entry.claim.section for entry in entries):
        rows = [entry for entry in entries if entry.claim.section == section]
        tables.append(
            f'<div class="mae-ledger"><p class="mae-title"><strong>Section {escape(section)}</strong> '
            f'<span>{counts(rows)}</span></p><div class="mae-scroll" tabindex="0"><table><thead><tr>'
            '<th scope="col">claim</th><th scope="col">verdict</th><th scope="col">why</th></tr></thead>'
            f"<tbody>{''.join(map(_row, rows))}</tbody></table></div></div>"
        )
    return "".join(tables)


def show_ledger(entries: list[Entry]) -> None:
    """Show `ledger_html` in a notebook."""
    display(HTML(ledger_html(entries)))
