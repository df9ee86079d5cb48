"""The whole ledger at a glance: every claim, with its verdict in this build, in each published run and in the paper.

This build's verdicts are those that its pages recorded; a published run's follow from its tables; the paper's own
follow from its printed numbers, where it prints any. No rule differs between them.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from IPython.display import HTML, display

from mae_lib.reporting.ledger import ICONS, Claim, Verdict, Word, decide, load_claims, paper_table, place, verdicts_file
from mae_lib.reporting.more_seeds import verdict_cell
from mae_lib.reporting.page_presets import preset_of_page
from mae_lib.reporting.published import published
from mae_lib.reporting.suggestions import FOLDER, verdicts

PAPER, HERE = "the paper", "this build"


@dataclass(frozen=True)
class Entry:
    """A claim, its verdict at one preset ("not run" where no page recorded one), why, and those of other scales."""

    claim: Claim
    verdict: Word
    why: str
    one_seed: bool = False
    recorded: bool = False  # whether a page of this build has a box for it
    elsewhere: Mapping[str, Verdict | None] = field(default_factory=dict)  # by scale; None where not run


def gather(preset: str) -> list[Entry]:
    """Every claim of `results/claims.yaml` in its order, with what the executed pages of `preset` recorded.

    A verdict on a claim that is no longer in the file, or by a page that no longer decides it, is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for page in {claim.notebook for claim in load_claims().values()}:
        file = verdicts_file(preset_of_page(page, preset), page)
        for verdict in json.loads(file.read_text(encoding="utf-8"))["verdicts"] if file.is_file() else ():
            found[f"{page}/{verdict['claim']}"] = verdict
    scales = {one.name: one.verdicts() for one in published()}
    scales |= {FOLDER: suggested} if (suggested := verdicts()) else {}
    entries = []
    for claim in load_claims().values():
        verdict = found.get(f"{claim.notebook}/{claim.id}")
        elsewhere = {name: verdicts.get(claim.id) for name, verdicts in scales.items()} | {PAPER: of_paper(claim)}
        if verdict is None:
            entries.append(Entry(claim, "not run", "No page of this build decides it.", elsewhere=elsewhere))
        else:
            said = verdict["verdict"], verdict["why"], verdict["one_seed"]
            entries.append(Entry(claim, *said, recorded=True, elsewhere=elsewhere))
    return entries


def of_paper(claim: Claim) -> Verdict | None:
    """What the claim's rule says of the paper's own table; None where the paper prints no numbers for it."""
    return decide(claim, paper_table(claim.paper_table, claim.series)) if claim.paper_table else None


def counts(entries: Sequence[Entry]) -> str:
    """How many verdicts of each kind, in words: "3 reproduced, 1 partly"."""
    number = Counter(entry.verdict for entry in entries)
    return ", ".join(f"{number[word]} {word}" for word in ICONS if number[word])


def badges(words: Iterable[Word]) -> str:
    """The same as a badge for each kind, icon and word."""
    number = Counter(words)
    return " ".join(
        f'<span class="mae-badge mae-{word.replace(" ", "-")}">{ICONS[word]} {number[word]} {word}</span>'
        for word in ICONS
        if number[word]
    )


def head_badges(words: Collection[Word]) -> str:
    """For the head of a page: the badges of the verdicts that it drew, which link to the ledger."""
    link = f'<a class="mae-badges" href="ledger.html" title="Verdicts on this page, in the ledger">{badges(words)}</a>'
    return link if words else ""


def _cell(scale: str, verdict: Verdict | None) -> str:
    """A phone, which has no room for columns, shows the scale before the verdict."""
    why = f' title="{escape(verdict.why)}"' if verdict else ""
    return f'<td data-column="{escape(scale)}"{why}>{verdict_cell(verdict)}</td>'


def _links(entry: Entry) -> str:
    """To the box of the verdict and to the figure, on the page that decides; nothing where no page has been run."""
    page, marks = f"{escape(entry.claim.notebook)}.html", {"verdict": f"claim-{entry.claim.id}"}
    marks |= {"figure": entry.claim.figure} if entry.claim.figure else {}
    return " ".join(f'<a href="{page}#{escape(mark)}">{name}</a>' for name, mark in marks.items() if entry.recorded)


def _row(entry: Entry) -> str:
    claim = entry.claim
    here = Verdict(claim.id, entry.verdict, entry.why, "one seed" if entry.one_seed else None)
    said = " <em>A claim of this book.</em>" if claim.ours else ""
    said += f" <em>Also: {', '.join(map(place, claim.also))}.</em>" if claim.also else ""
    why = f"<details><summary>why</summary>{escape(entry.why)}</details>"
    cells = "".join(_cell(*one) for one in ({HERE: here} | dict(entry.elsewhere)).items())
    return f'<tr><th scope="row">{escape(claim.claim)}{said}{why}</th>{cells}<td>{_links(entry)}</td></tr>'


def ledger_html(entries: Sequence[Entry]) -> str:
    """One table, a column for each scale; a section is headed by its badges, and a claim links to what decides it."""
    names = ("claim", HERE, *entries[0].elsewhere, "see")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    bodies = []
    for section in dict.fromkeys(entry.claim.section for entry in entries):
        rows = [entry for entry in entries if entry.claim.section == section]
        title = f"<strong>{escape(place(section))}</strong> {badges(entry.verdict for entry in rows)}"
        mark = f"section-{section.replace('.', '-')}"
        bodies.append(
            f'<tbody><tr id="{mark}"><th scope="rowgroup" colspan="{len(names)}" class="mae-title">{title}</th></tr>'
            f"{''.join(map(_row, rows))}</tbody>"
        )
    return (
        '<div class="mae-ledger mae-scales"><div class="mae-scroll" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead>{''.join(bodies)}</table></div></div>"
    )


def show_ledger(entries: Sequence[Entry]) -> None:
    """Show `ledger_html` in a notebook."""
    display(HTML(ledger_html(entries)))
