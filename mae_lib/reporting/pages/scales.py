"""One claim, several results: this build, each published run and the paper, between which a reader switches.

The page holds all of them; a script shows one at a time, and without it all are there, one below the other. A page of
Section 3 that nothing else was published for says so instead.
"""

import re
from collections.abc import Mapping
from functools import cache
from html import escape, unescape

from mae_lib.reporting.ledger import ELSEWHERE, Verdict, kind, label, load_claims, numbers_table
from mae_lib.reporting.ledger_page import of_paper
from mae_lib.reporting.more_seeds import HERE, PAPER, described
from mae_lib.reporting.plots import summarise
from mae_lib.reporting.published import SECTION_OF, encoder_table, published
from mae_lib.reporting.suggestions import SUGGESTIONS, published_provenance, published_suggestion, verdicts_of

_BOX = re.compile(r'<div class="mae-verdict [^>]*id="claim-([^"]+)">.*?' + re.escape(ELSEWHERE), re.DOTALL)
_CALIBRATION = "3_0_calibration"
_READERS = {"pixels": "raw pixels", "untrained": "an untrained encoder", "trained": "the pretrained encoder"}
SUGGESTED = "published"  # what the suggestions of Section 3.6 go by
ALONE = (
    '<p class="mae-alone">These are the results of this build. No longer run of this page is published, and the paper '
    "prints no numbers for it.</p>"
)


@cache
def results() -> dict[str, tuple[str, Mapping[str, Verdict]]]:
    """By key ("cpu", "the paper"): what it is in words, and its verdicts by claim, those that were run."""
    found = {one.name: (described(one), one.verdicts()) for one in published()}
    printed = {claim.id: of_paper(claim) for claim in load_claims().values() if claim.paper_table}
    if words := _suggestions():
        found[SUGGESTED] = (words, {id: v for name in SUGGESTIONS for id, v in verdicts_of(name).items()})
    found[PAPER] = ("the paper's own printed numbers", printed)
    ran = {key: {c: v for c, v in verdicts.items() if v.verdict != "not run"} for key, (_, verdicts) in found.items()}
    return {key: (words, ran[key]) for key, (words, _) in found.items()}


def _suggestions() -> str:
    """How far the published runs of Section 3.6 have come, in words; one by one where they differ, "" for none."""
    states = {}
    for name in SUGGESTIONS:
        if record := published_provenance(name):
            seeds = published_suggestion(name)["seed"].nunique()
            state = "" if record["wall_seconds"] else ", not finished"
            states[name] = f"{record['parameters']['preset']}, {seeds} seed{'s' * (seeds != 1)}{state}"
    if len(set(states.values())) == 1:
        return next(iter(states.values()))
    return "; ".join(f"{name}: {state}" for name, state in states.items())


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
    words = {key: said for key, (said, _) in results().items()} | {HERE: "what this page has just computed"}
    options = "".join(
        f'<label title="{escape(words.get(key, ""))}"><input type="radio" name="mae-scale-{number}" '
        f'value="{escape(key)}"{" checked" if key == HERE else ""}> <span>{escape(key)}</span></label>'
        for key in [HERE, *keys, "all"]
    )
    return f'<fieldset class="mae-switch" hidden><legend>Results of</legend>{options}</fieldset>'


def elsewhere(claim: str) -> str:
    """What the rule says of a claim in every other result, a part for each."""
    own = _of_section(SECTION_OF.get(load_claims()[claim].notebook))
    parts = [
        f'<div class="mae-{kind(verdict)}" data-mae-scale="{escape(key)}"><p class="mae-title"><strong>{label(verdict)}'
        f"</strong> <span>{escape(own.get(key, words))}</span></p><p>{escape(verdict.why)}</p>"
        f"{numbers_table(verdict.findings) if verdict.findings else ''}</div>"
        for key, (words, verdicts) in results().items()
        if (verdict := verdicts.get(claim))
    ]
    return f'<div class="mae-elsewhere">{"".join(parts)}</div>' if parts else ""


@cache
def _of_section(section: str | None) -> dict[str, str]:
    """Each published run in words, by key, with the seeds that the section has there."""
    return {one.name: described(one) for one in published(section)}


def with_scales(body: str, name: str = "") -> str:
    """A page's HTML with the other results in its verdict boxes, and a switch before the first of a run of boxes.

    A switch also stands before a figure whose lines carry the keys of results.
    """
    if name == _CALIBRATION:
        return _calibrated(body)
    claims = [unescape(claim) for claim in _BOX.findall(body)]
    keys = [key for key, (_, verdicts) in results().items() if set(claims) & set(verdicts)]
    first = body.find('<div class="mae-verdict ')
    if not keys:
        alone = ALONE if first >= 0 and name.startswith("3_") else ""
        return f"{body[:first]}{alone}{body[first:]}".replace(ELSEWHERE, "") if alone else body.replace(ELSEWHERE, "")
    body = _BOX.sub(lambda box: box[0].replace(ELSEWHERE, elsewhere(unescape(box[1]))), body)
    body = body[:first] + switch(keys, 1) + body[first:]
    marked = re.search(r'<figure class="mae-figure"(?:(?!</figure>).)*?data-mae-scale="', body, re.DOTALL)
    return body[: marked.start()] + switch(keys, 2) + body[marked.start() :] if marked else body
