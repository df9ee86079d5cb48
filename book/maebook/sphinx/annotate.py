"""A notebook's page as the book shows it, drawn from what its outputs hand over.

Below its title stand how long it took, its answer and the figure that shows it; under every figure, where it comes
from; and a claim's box is headed by the verdict of the strongest run, with the page's own beside it and all other
results folded. A page of Section 3 that nothing else was published for says so.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from itertools import count
from typing import Any

from nbformat import NotebookNode

from mae_lib.claims.claims import ICONS, Verdict, load_claims
from mae_lib.presets import load_preset
from maebook.answer import ANSWER
from maebook.bundles import FIGURE, VERDICT, outputs
from maebook.figures import data_url
from maebook.ledger_page import LATE, head_badges
from maebook.linked import CONTROLS
from maebook.published_runs import HERE
from maebook.run_card import changed, command_html, duration, parameter_table
from maebook.sphinx.executed import Page
from maebook.sphinx.repository import launch_links
from maebook.strongest import results, standing, strongest
from maebook.verdict_box import OWN, kind, part_html, verdict_html

ALONE = (
    '<p class="mae-alone">These are the results of this build. No published run covers this page, and the paper '
    "prints no numbers for it.</p>"
)


def annotate(book: NotebookNode, page: Page, launch: bool = True) -> None:
    """Draw the outputs of a page's notebook anew, in place, with what the book adds to them.

    `launch`: with links that open the notebook elsewhere, answers included.
    """
    published = any(page.own.keys() & by for by in results().values())
    before = iter([ALONE] if page.name.startswith("3_") and not published else [])
    numbers = count(1)
    for data in outputs(book):
        if VERDICT in data:
            data["text/html"] = next(before, "") + box(data[VERDICT], page)
        elif FIGURE in data:
            data["text/html"] = with_origin(data["text/html"], data[FIGURE], next(numbers), page)
    controls = _taken(book, "text/html", CONTROLS)  # buttons that link masks belong above the first figure
    parts = head(page, launch), taken_answer(book), against(page), controls, taken_figure(book)
    first = "\n\n".join(filter(None, parts))
    opening = book.cells[0]
    opening.source = re.sub("^# .*$", lambda title: f"{title[0]}\n\n{first}\n", opening.source, count=1, flags=re.M)


def taken_answer(book: NotebookNode) -> str:
    """The answer of a page, taken from where its notebook says or works it out; empty where there is none."""
    if text := _taken(book, "text/markdown", ANSWER):
        return text
    opening = book.cells[0]
    paragraphs = opening.source.split("\n\n")
    written = [one for one in paragraphs if one.startswith(ANSWER)]
    opening.source = "\n\n".join(one for one in paragraphs if one not in written)
    return "\n\n".join(written)


def _taken(book: NotebookNode, kind: str, begins: str) -> str:
    """The first output of a kind that begins so, taken out of its cell; empty where there is none."""
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if (text := output.get("data", {}).get(kind, "")).startswith(begins):
                cell.outputs.remove(output)
                return text
    return ""


def standings(page: Page) -> dict[str, str]:
    """The verdict of the strongest run on each claim of a page, a word by id."""
    claims = load_claims()
    return {id: standing(claims[id], own).verdict.verdict for id, own in page.own.items() if id in claims}


def against(page: Page) -> str:
    """The claims of a page that the strongest runs contradict, each by the words of its id; empty where none is."""
    links = [
        f'<a href="#claim-{escape(id)}">{escape(id.replace("-", " "))}</a>{" (ours)" * load_claims()[id].ours}'
        for id, word in standings(page).items()
        if word == "contradicted"
    ]
    return f'<p class="mae-against">{ICONS["contradicted"]} Contradicted: {"; ".join(links)}.</p>' if links else ""


def taken_figure(book: NotebookNode) -> str:
    """The figure of the cell that is tagged "answer", which keeps a link to it; empty where there is none."""
    for cell in book.cells:
        if "answer" not in cell.metadata.get("tags", ()):
            continue
        for data in (output["data"] for output in cell.outputs if FIGURE in output.get("data", {})):
            html, link = data["text/html"], f'<a href="#{data[FIGURE]["name"]}">The figure</a>'
            data["text/html"] = f'<p class="mae-alone">{link} is shown below the answer.</p>'
            return re.sub(r"\n\s*\n", "\n", html)  # a blank line would end the HTML within Markdown
    return ""


def takes(page: Page) -> str:
    """How long the notebook took, and on what: "Runs on a CPU in 41 s, once the models are trained"."""
    record = page.record
    kind = record["device"].split(":")[0]
    where = "a CPU" if kind == "cpu" else "one GPU"
    after = ", once the models are trained" if page.trained else ""
    return f"Runs on {where} in {duration(record['wall_seconds'])}{after}"


def head(page: Page, launch: bool = True) -> str:
    """The line below a notebook's title: its time, its preset, ways to run it, and how its claims came out."""
    if page.record is None:
        return ""
    preset = f"{escape(str(page.record['parameters']['preset']))} preset"
    words = list(standings(page).values())
    facts = f'<span class="mae-chip">{escape(takes(page))}</span><span class="mae-chip">{preset}</span>'
    ways = f'{launch_links(page.name) if launch else ""}<a class="mae-chip" href="#run-card">Run card</a>'
    return f'<p class="mae-facts">{facts}{ways}{head_badges(words)}</p>'


def box(data: Mapping[str, Any], page: Page) -> str:
    """A claim under the verdict of the strongest run, the page's own beside it, and all others folded."""
    verdict, run = Verdict.from_json(data), data.get("run", OWN)
    claim, found = load_claims()[verdict.claim], strongest(verdict.claim, page.own[verdict.claim])
    if found is None or found.key == HERE or found.verdict.as_json() == verdict.as_json():
        return verdict_html(claim, verdict, run, behind=elsewhere(claim.id))
    late = f"<p>{LATE}</p>" if found.late(claim) else ""
    part = part_html(found.verdict, f"strongest run: {escape(found.words)}")
    top = f'<div class="mae-strongest">{part}{late}</div>'
    return verdict_html(claim, verdict, run, found.verdict, top, elsewhere(claim.id))


def elsewhere(claim: str) -> str:
    """What the rule says of a claim in each published result and in the paper's own tables, folded."""
    parts = [
        f'<div class="mae-{kind(found.verdict.verdict)}">{part_html(found.verdict, escape(found.words))}</div>'
        for by in results().values()
        if (found := by.get(claim))
    ]
    summary = f"<summary>All published results ({len(parts)})</summary>"
    return f'<details class="mae-elsewhere">{summary}{"".join(parts)}</details>' if parts else ""


def with_origin(drawing: str, figure: Mapping[str, Any], number: int, page: Page) -> str:
    """A figure that can be linked to, and below it, folded, its data and where it comes from."""
    data = ""
    if csv := figure.get("csv"):
        file = f"{page.name}-figure-{number}.csv"
        data = f'<a class="mae-data" download="{file}" href="{escape(data_url(csv))}">Data (CSV)</a>'
    below = origin(page.record, page.name, data) if page.record else ""
    return f'<div class="mae-shown" id="{escape(figure.get("name") or f"drawing-{number}")}">{drawing}{below}</div>'


def origin(record: Mapping[str, Any], notebook: str, data: str) -> str:
    """Where a figure comes from, folded: data, parameters, seeds, device, time, code and the exact command.

    A published run, which a caption names, has its own scale and seeds.
    """
    opened = "scale" in record["parameters"] and load_preset(record["parameters"]["preset"]).get("published")
    seeds = ", ".join(map(str, record["seeds"] or ["none"]))
    commit = record["git_commit"]
    facts = {
        "Parameters": _parameters(record["parameters"]),
        "Seeds": "those of the published run that the caption names" if opened else escape(seeds),
        "Device": escape(f"{record['device']}, {record['threads']} thread{'s' * (record['threads'] > 1)}"),
        "Time": f"{duration(record['wall_seconds'])} for the whole page",
        "Code": escape(f"{record['code_hash']}" + (f", commit {commit[:12]}{commit[40:]}" if commit else "")),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return (
        f'<details class="mae-origin"><summary>Where this comes from</summary>{data}'
        f"<dl>{rows}</dl>{command_html(record['parameters'], notebook)}</details>"
    )


def _parameters(parameters: Mapping[str, Any]) -> str:
    """The preset and what differs from it or is the page's own; all of them folded."""
    differing, preset = changed(parameters), load_preset(parameters["preset"])
    said = {name: f"<code>{escape(f'{name} = {json.dumps(value)}')}</code>" for name, value in differing.items()}
    other = ", ".join(text for name, text in said.items() if name in preset)
    own = ", ".join(text for name, text in said.items() if name not in preset)
    named = f"{escape(str(parameters['preset']))} preset, " + (f"but {other}" if other else "unchanged")
    named += f"; the page's own: {own}" if own else ""
    return f"{named}<details><summary>All parameters</summary>{parameter_table(parameters)}</details>"
