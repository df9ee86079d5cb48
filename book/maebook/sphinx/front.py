"""The front page: what the book found, in pictures, and how the claims of Section 3 came out.

No number and no order is typed: `discoveries.py` works them out, and verdicts are those of the strongest run.
"""

from collections import Counter
from collections.abc import Mapping
from html import escape

from mae_lib.claims.claims import ICONS, Claim, load_claims
from maebook.figures import figure_html
from maebook.sphinx.discoveries import Discovery, discoveries
from maebook.sphinx.executed import Page, drawn, stands
from maebook.strongest import Result, short
from maebook.verdict_box import in_words, kind, label

SECTION = "3"
CENTRAL = ("probe-rises-to-three-quarters", "extreme-ratio-hurts-probe")


def found(pages: Mapping[str, Page]) -> str:
    """The discoveries, each a picture and a sentence with its verdict and the page that shows why."""
    return f'<div class="mae-found">{"".join(_shown(one, pages) for one in discoveries())}</div>'


def _shown(one: Discovery, pages: Mapping[str, Page]) -> str:
    claim = load_claims().get(one.claim)
    about = (_chip(stands(claim, pages)) if claim and one.chip else "") + _why(one, claim, pages)
    picture = figure_html(one.drawing, one.says, one.alt)
    return f'<div class="mae-discovery">{_one_line(picture)}<p>{about}</p></div>'


def _one_line(html: str) -> str:
    """Without line breaks: a blank line would end the HTML within Markdown."""
    return " ".join(html.split("\n"))


def _chip(result: Result) -> str:
    word = result.verdict.verdict
    run = f' <span class="mae-run">{escape(short(result))}</span>' if result.key else ""
    return f'<span class="mae-badge mae-{kind(word)}">{label(result.verdict)}</span>{run} '


def _why(one: Discovery, claim: Claim | None, pages: Mapping[str, Page]) -> str:
    """A link to the first of the pages that this build has, and there to the claim; nothing where it has none."""
    page = next((name for name in one.pages if name in pages), None)
    if page is None:
        return ""
    mark = f"#claim-{claim.id}" if claim and claim.notebook == page and drawn(claim, pages) else ""
    return (
        f'<a class="reference internal" href="experiments/{page}.html{mark}">Why'
        f'<span class="mae-unseen">: {escape(_opening(one.says))}</span></a>'
    )


def _opening(sentence: str) -> str:
    """Its first few words, which tell one link from another."""
    return " ".join(sentence.split()[:6])


def counts(pages: Mapping[str, Page]) -> str:
    """How many of the paper's claims in Section 3 came out how, in the strongest run; and what this build is."""
    claims = [one for one in load_claims().values() if one.section.startswith(SECTION) and not one.ours]
    standing = [stands(claim, pages) for claim in claims]
    words = Counter(one.verdict.verdict for one in standing)
    badges = "".join(
        f'<li class="mae-{kind(word)}"><b>{words[word]}</b> <span>{ICONS[word]} {word}</span></li>' for word in ICONS
    )
    there = '<a class="reference internal" href="experiments/ledger.html">The ledger</a>'
    rises, drops = (in_words(stands(load_claims()[one], pages).verdict) for one in CENTRAL)
    return (
        f'<div class="mae-counts"><ul>{badges}</ul><p>The central claim: a linear probe gains up to ratio 0.75 '
        f"(<strong>{rises}</strong>) and loses at 0.9 (<strong>{drops}</strong>). {len(claims)} claims of Section 3 "
        f"(pages also count ours), by the strongest run{_seeds(standing)}. Undecided: models this small and seeds this "
        f"few give no confident answer. Masks are compared within a seed, so bars may overlap even if a verdict is "
        f"certain. {there} lists every claim.{_preset(pages)}</p></div>"
    )


def _seeds(standing: list[Result]) -> str:
    """How many seeds the verdicts rest on: " (3 to 5 seeds)"."""
    seeds = sorted({one.verdict.seeds for one in standing if one.verdict.seeds})
    if not seeds:
        return ""
    least, most = seeds[0], seeds[-1]
    return f" ({least} to {most} seeds)" if least < most else f" ({most} seed{'s' * (most > 1)})"


def _preset(pages: Mapping[str, Page]) -> str:
    """At which preset the book was built, and that the smallest shows nothing."""
    presets = sorted({str(page.record["parameters"]["preset"]) for page in pages.values() if page.record})
    if not presets:
        return ""
    small = ", which trains far too little to decide a claim" if "smoke" in presets else ""
    named = " and ".join(f"<em>{escape(preset)}</em>" for preset in presets)
    return f" This build uses the preset {named}{small}."
