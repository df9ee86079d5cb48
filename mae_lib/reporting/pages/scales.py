"""One claim, several results: this build, each published run and the paper, between which a reader switches.

The page holds all of them; a script shows one at a time, and without it all are there, one below the other.
"""

import re
from collections.abc import Mapping
from functools import cache
from html import escape, unescape

from mae_lib.reporting.ledger import ELSEWHERE, Verdict, kind, label, load_claims, numbers_table
from mae_lib.reporting.ledger_page import of_paper
from mae_lib.reporting.more_seeds import HERE, PAPER, described
from mae_lib.reporting.published import published

_BOX = re.compile(r'<div class="mae-verdict [^>]*id="claim-([^"]+)">.*?' + re.escape(ELSEWHERE), re.DOTALL)
_SWITCHED = re.compile(r'<(?:div|figure) class="mae-(?:verdict |figure")')


@cache
def results() -> dict[str, tuple[str, Mapping[str, Verdict]]]:
    """By key ("cpu", "the paper"): what it is in words, and its verdicts by claim, those that were run."""
    found = {one.name: (described(one), one.verdicts()) for one in published()}
    printed = {claim.id: of_paper(claim) for claim in load_claims().values() if claim.paper_table}
    found[PAPER] = ("the paper's own printed numbers", printed)
    ran = {key: {c: v for c, v in verdicts.items() if v.verdict != "not run"} for key, (_, verdicts) in found.items()}
    return {key: (words, ran[key]) for key, (words, _) in found.items()}


def switch(keys: list[str], number: int) -> str:
    """The control: one radio button for each result, shown by the script that makes it work."""
    words = {key: said for key, (said, _) in results().items()} | {HERE: "what this page has just computed"}
    options = "".join(
        f'<label title="{escape(words.get(key, ""))}"><input type="radio" name="mae-scale-{number}" '
        f'value="{escape(key)}"{" checked" if key == HERE else ""}> <span>{escape(key)}</span></label>'
        for key in [HERE, *keys, "all"]
    )
    return f'<fieldset class="mae-switch" hidden><legend>Results of</legend>{options}</fieldset>'


def elsewhere(claim: str) -> str:
    """What the rule says of a claim in every other result, a part for each."""
    parts = [
        f'<div class="mae-{kind(verdict)}" data-mae-scale="{escape(key)}"><p class="mae-title"><strong>{label(verdict)}'
        f"</strong> <span>{escape(words)}</span></p><p>{escape(verdict.why)}</p>"
        f"{numbers_table(verdict.findings) if verdict.findings else ''}</div>"
        for key, (words, verdicts) in results().items()
        if (verdict := verdicts.get(claim))
    ]
    return f'<div class="mae-elsewhere">{"".join(parts)}</div>' if parts else ""


def with_scales(body: str) -> str:
    """A page's HTML with the other results in its verdict boxes, and a switch before the first of a run of boxes.

    A switch also stands before a figure whose lines carry the keys of results.
    """
    claims = [unescape(claim) for claim in _BOX.findall(body)]
    keys = [key for key, (_, verdicts) in results().items() if set(claims) & set(verdicts)]
    if not keys:
        return body.replace(ELSEWHERE, "")
    body = _BOX.sub(lambda box: box[0].replace(ELSEWHERE, elsewhere(unescape(box[1]))), body)
    first = body.index('<div class="mae-verdict ')
    body = body[:first] + switch(keys, 1) + body[first:]
    marked = re.search(r'<figure class="mae-figure"(?:(?!</figure>).)*?data-mae-scale="', body, re.DOTALL)
    return body[: marked.start()] + switch(keys, 2) + body[marked.start() :] if marked else body
