"""One claim, several results: the strongest run, this build, each published run and the paper.

A box is headed by the strongest run's verdict, with the page's own run beside it. The page holds all others too: a
script shows one at a time, and without it all are there, one below the other. A page of Section 3 that nothing else was
published for says so instead.
"""

import re
from collections.abc import Mapping
from functools import cache
from html import escape, unescape
from typing import Any

from mae_lib.claims.claims import Verdict, load_claims
from mae_lib.studies.results import encoder_table, published
from maebook.figures import summarise
from maebook.ledger_page import LATE
from maebook.published_runs import HERE, described
from maebook.strongest import own_result, results, strongest
from maebook.verdict_box import ELSEWHERE, STRONGEST, kind, part_html

_BOX = re.compile(
    r'(?P<open><div class="mae-verdict mae-(?P<kind>[a-z-]+)" role="note" id="claim-(?P<claim>[^"]+)" '
    r'data-seeds="(?P<seeds>\d+)">)(?P<body>.*?)' + re.escape(ELSEWHERE),
    re.DOTALL,
)
_CALIBRATION = "3_0_calibration"
_READERS = {"pixels": "raw pixels", "untrained": "an untrained encoder", "trained": "the pretrained encoder"}
ALONE = (
    '<p class="mae-alone">These are the results of this build. No longer run of this page is published, and the paper '
    "prints no numbers for it.</p>"
)


@cache
def calibration() -> dict[str, str]:
    """By key of a published run, a table of how well the class is read there: the calibration's readers, in HTML."""
    found = {}
    for one in published("pretraining"):
        table = encoder_table(one.series, one.scores("pretraining"))
        means = summarise(table[table["metric"] == "class probe accuracy"], "encoder").set_index("encoder")
        rows = "".join(
            f'<tr><th scope="row">{words}</th><td>{means.loc[reader, "mean"]:.2f}</td></tr>'
            for reader, words in _READERS.items()
        )
        found[one.name] = f"<p>{escape(described(one))}: accuracy on the class.</p><table><tbody>{rows}</tbody></table>"
    return found


def _calibrated(body: str) -> str:
    """The calibration's page with what the published runs say, below its last figure."""
    parts = "".join(f'<div data-mae-scale="{escape(key)}">{table}</div>' for key, table in calibration().items())
    if not parts:
        return body
    at = body.rindex("</figure>") + len("</figure>")
    box = f'<div class="mae-measured"><div class="mae-elsewhere">{parts}</div></div>'
    return body[:at] + switch(list(calibration()), 1) + box + body[at:]


def switch(keys: list[str], number: int) -> str:
    """The control: one radio button for each result, shown by the script that makes it work."""
    words = {key: next(iter(by.values())).words for key, by in results().items()}
    words[HERE] = "the strongest run, and beside it what this page has just computed"
    named = {HERE: "strongest and this build"}
    options = "".join(
        f'<label title="{escape(words.get(key, ""))}"><input type="radio" name="mae-scale-{number}" '
        f'value="{escape(key)}"{" checked" if key == HERE else ""}> <span>{escape(named.get(key, key))}</span></label>'
        for key in [HERE, *keys, "all"]
    )
    return f'<fieldset class="mae-switch" hidden><legend>Results of</legend>{options}</fieldset>'


def elsewhere(claim: str) -> str:
    """What the rule says of a claim in every other result, a part for each."""
    parts = [
        f'<div class="mae-{kind(found.verdict.verdict)}" data-mae-scale="{escape(key)}">'
        f"{part_html(found.verdict, escape(found.words))}</div>"
        for key, by in results().items()
        if (found := by.get(claim))
    ]
    return f'<div class="mae-elsewhere">{"".join(parts)}</div>' if parts else ""


def _headed(box: re.Match, record: Mapping[str, Any] | None) -> str:
    """A page's box under the verdict of the strongest run, its own beside, and all others behind."""
    word, claim, seeds = box["kind"].replace("-", " "), unescape(box["claim"]), int(box["seeds"])
    found = strongest(claim, own_result(Verdict(claim, word, "", seeds=seeds), record))
    head, opening = "", box["open"]
    if found is not None and found.key != HERE:
        late = f"<p>{LATE}</p>" if found.late(load_claims()[claim]) else ""
        part = part_html(found.verdict, f"strongest run: {escape(found.words)}")
        head = f'<div class="mae-strongest">{part}{late}</div>'
        opening = opening.replace(f"mae-verdict mae-{box['kind']}", f"mae-verdict mae-{kind(found.verdict.verdict)}")
    body = box["body"].replace(STRONGEST, head)
    return f"{opening}{body}{elsewhere(claim)}"


def with_scales(body: str, name: str = "", record: Mapping[str, Any] | None = None) -> str:
    """A page's HTML with the strongest and the other results in its verdict boxes, and a switch before the first box.

    A switch also stands before a figure whose lines carry the keys of results. `record` is the page's provenance.
    """
    if name == _CALIBRATION:
        return _calibrated(body)
    claims = [unescape(found["claim"]) for found in _BOX.finditer(body)]
    keys = [key for key, by in results().items() if set(claims) & set(by)]
    first = body.find('<div class="mae-verdict ')
    if not keys and first >= 0 and name.startswith("3_"):
        body = f"{body[:first]}{ALONE}{body[first:]}"
    body = _BOX.sub(lambda box: _headed(box, record), body)
    if not keys:
        return body
    body = body[:first] + switch(keys, 1) + body[first:]
    marked = re.search(r'<figure class="mae-figure"(?:(?!</figure>).)*?data-mae-scale="', body, re.DOTALL)
    return body[: marked.start()] + switch(keys, 2) + body[marked.start() :] if marked else body
