"""The whole ledger at a glance: every claim with its verdict, and what this build, published runs and the paper say.

The verdict is that of the strongest run. This build's verdicts are those that its pages recorded; a published run's
follow from its tables; the paper's own follow from its printed numbers, where it prints any. No rule differs between
them.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from IPython.display import HTML, display

from mae_lib.claims.claims import ICONS, Claim, Verdict, Word, load_claims, place
from mae_lib.claims.verdicts import verdicts_file
from mae_lib.studies.results import published
from mae_lib.studies.suggestions import FOLDER
from maebook.page_presets import preset_of_page
from maebook.published_runs import HERE, PAPER, verdict_cell
from maebook.strongest import Result, own_result, results, short, standing
from maebook.verdict_box import kind

LATE = "The rule was written after this run had finished."


@dataclass(frozen=True)
class Entry:
    """A claim with what stands for it, what a page of this build recorded (if any), and the verdicts of other runs."""

    claim: Claim
    stands: Result
    own: Verdict | None = None
    elsewhere: Mapping[str, Verdict | None] = field(default_factory=dict)  # by run; None where not run

    @property
    def verdict(self) -> Word:
        """That of the strongest run."""
        return self.stands.verdict.verdict


def gather(preset: str) -> list[Entry]:
    """Every claim of `results/claims.yaml` in its order, with what the executed pages of `preset` recorded.

    A verdict on a claim that is no longer in the file, or by a page that no longer decides it, is left out.
    """
    found: dict[str, Result] = {}
    for page in {claim.notebook for claim in load_claims().values()}:
        file = verdicts_file(preset_of_page(page, preset), page)
        held = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"verdicts": ()}
        for one in held["verdicts"]:
            if "seeds" not in one:  # of an earlier version, which had other words
                continue
            found[f"{page}/{one['claim']}"] = own_result(Verdict.from_json(one), held["provenance"])
    runs = results()
    names = [one.name for one in published()] + [FOLDER] * any(one.whole for one in runs.get(FOLDER, {}).values())
    entries = []
    for claim in load_claims().values():
        own = found.get(f"{claim.notebook}/{claim.id}")
        there = {name: runs.get(name, {}).get(claim.id) for name in (*names, PAPER)}
        elsewhere = {name: one.verdict if one and one.whole else None for name, one in there.items()}
        entries.append(Entry(claim, standing(claim, own), own and own.verdict, elsewhere))
    return entries


def counts(entries: Sequence[Entry]) -> str:
    """How many verdicts of each kind, in words: "3 supported, 1 mixed"."""
    number = Counter(entry.verdict for entry in entries)
    return ", ".join(f"{number[word]} {word}" for word in ICONS if number[word])


def outcome(entries: Sequence[Entry], most: int = 2) -> str:
    """What came out, as Markdown for a slide: all in numbers, and the paper's first claims that are decided."""
    parts = [f"**{len(entries)} claims**: {counts(entries)}."]
    for word in ("supported", "contradicted"):
        some = [entry.claim.claim for entry in entries if entry.verdict == word and not entry.claim.ours][:most]
        parts += ["\n".join([f"{ICONS[word]} *{word}*, among others:", "", *(f"- {one}" for one in some)])] * bool(some)
    return "\n\n".join(parts)


def badges(words: Iterable[Word]) -> str:
    """The same as a badge for each kind, icon and word."""
    number = Counter(words)
    return " ".join(
        f'<span class="mae-badge mae-{kind(word)}">{ICONS[word]} {number[word]} {word}</span>'
        for word in ICONS
        if number[word]
    )


def head_badges(words: Collection[Word]) -> str:
    """For the head of a page: the badges of its claims, which link to the ledger."""
    link = f'<a class="mae-badges" href="ledger.html" title="Verdicts on this page, in the ledger">{badges(words)}</a>'
    return link if words else ""


def _cell(scale: str, verdict: Verdict | None) -> str:
    """A phone, which has no room for columns, shows the scale before the verdict, and no scale that has none."""
    why = f' title="{escape(verdict.why)}"' if verdict else ' class="mae-empty"'
    return f'<td data-column="{escape(scale)}"{why}>{verdict_cell(verdict)}</td>'


def _links(entry: Entry) -> str:
    """To the box of the verdict and to the figure, on the page that decides; nothing where no page has been run."""
    page, marks = f"{escape(entry.claim.notebook)}.html", {"verdict": f"claim-{entry.claim.id}"}
    marks |= {"figure": entry.claim.figure} if entry.claim.figure else {}
    return " ".join(f'<a href="{page}#{escape(mark)}">{name}</a>' for name, mark in marks.items() if entry.own)


def _row(entry: Entry) -> str:
    claim, stands = entry.claim, entry.stands
    said = " <em>A claim of this book.</em>" if claim.ours else ""
    said += f" <em>Also: {', '.join(map(place, claim.also))}.</em>" if claim.also else ""
    said += f" <em>{LATE}</em>" if stands.late(claim) else ""
    why = f"<details><summary>why</summary>{escape(stands.verdict.why)}</details>"
    run = f' <span class="mae-run">{escape(short(stands))}</span>' if stands.key else ""
    first = (
        f'<td data-column="verdict" class="mae-{kind(entry.verdict)}"><strong>{verdict_cell(stands.verdict)}</strong>'
        f"{run}</td>"
    )
    cells = "".join(_cell(*one) for one in ({HERE: entry.own} | dict(entry.elsewhere)).items())
    return f'<tr><th scope="row">{escape(claim.claim)}{said}{why}</th>{first}{cells}<td>{_links(entry)}</td></tr>'


def ledger_html(entries: Sequence[Entry]) -> str:
    """One table, a column for the verdict and one for each run; a section is headed by its badges."""
    names = ("claim", "verdict", HERE, *entries[0].elsewhere, "see")
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
