"""What a notebook's page wears: how long it takes at its head, and under every figure where it comes from.

All of it is read from the page's own run card.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from itertools import count
from typing import Any

from mae_lib.claims.claims import load_claims
from mae_lib.presets import load_preset
from maebook.ledger_page import head_badges
from maebook.run_card import changed, duration, parameter_table, reproduce_command
from maebook.sphinx.executed import Page
from maebook.sphinx.repository import launch_links
from maebook.strongest import standing

_FIGURE = re.compile(
    r'<figure class="mae-figure"(?: id="([^"]+)")?>(.*?)(<a class="mae-data".*?</a>)?</figure>', re.DOTALL
)


def takes(page: Page) -> str:
    """How long the notebook took, and on what: "Runs on a CPU in 41 s, once the models are trained"."""
    record = page.record
    kind = record["device"].split(":")[0]
    where = "a CPU" if kind == "cpu" else "one GPU"
    after = ", once the models are trained" if page.trained else ""
    return f"Runs on {where} in {duration(record['wall_seconds'])}{after}"


def head(page: Page) -> str:
    """The line below a notebook's title: its time, its preset, ways to run it, and how its claims came out."""
    if page.record is None:
        return ""
    preset = f"{escape(str(page.record['parameters']['preset']))} preset"
    words = [
        standing(load_claims()[claim], own).verdict.verdict for claim, own in page.own.items() if claim in load_claims()
    ]
    facts = f'<span class="mae-chip">{escape(takes(page))}</span><span class="mae-chip">{preset}</span>'
    ways = f'{launch_links(page.name)}<a class="mae-chip" href="#run-card">Run card</a>'
    return f'<p class="mae-facts">{facts}{ways}{head_badges(words)}</p>'


def origin(record: Mapping[str, Any], notebook: str, data: str) -> str:
    """Where a figure comes from, folded: data, parameters, seeds, device, time, code and the exact command."""
    seeds = ", ".join(map(str, record["seeds"] or ["none"]))
    commit = record["git_commit"]
    facts = {
        "Parameters": _parameters(record["parameters"]),
        "Seeds": escape(seeds),
        "Device": escape(f"{record['device']}, {record['threads']} thread{'s' * (record['threads'] > 1)}"),
        "Time": f"{duration(record['wall_seconds'])} for the whole page",
        "Code": escape(f"{record['code_hash']}" + (f", commit {commit[:12]}{commit[40:]}" if commit else "")),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    command = escape(reproduce_command(record["parameters"], notebook))
    return (
        f'<details class="mae-origin"><summary>Where this comes from</summary>{data}'
        f'<dl>{rows}</dl><div class="mae-command"><pre><code>{command}</code></pre></div></details>'
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


def dressed(body: str, page: Page) -> str:
    """A notebook's page with the line below its title, figures that can be linked to, and their origins."""
    if page.record is None:
        return body
    numbers = count(1)

    def with_origin(found: re.Match) -> str:
        number = next(numbers)
        name, drawing, link = found.groups()
        data = (link or "").replace('"data.csv"', f'"{page.name}-figure-{number}.csv"')
        below = origin(page.record, page.name, data)
        return f'<figure class="mae-figure" id="{name or f"drawing-{number}"}">{drawing}{below}</figure>'

    body = _FIGURE.sub(with_origin, body)
    body = body.replace('<div class="mae-card" role="note"', '<div class="mae-card" id="run-card" role="note"', 1)
    # The button that copies a command is placed within the box that holds it.
    body = re.sub(r"(<p>To run it again:</p>)(<pre>.*?</pre>)", r'\1<div class="mae-command">\2</div>', body)
    return body.replace("</h1>", "</h1>" + head(page), 1)
