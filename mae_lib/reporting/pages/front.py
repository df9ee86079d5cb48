"""The front page's picture and numbers: three masks of the paper's Figure 4, what Algorithm 1 finds, and the ledger.

Nothing of the picture is drawn by hand: positions come from the hierarchy, colours from the algorithm's sets.
"""

from collections import Counter
from collections.abc import Mapping
from html import escape

from mae_lib.reporting.claims import ICONS, Claim, Word, load_claims
from mae_lib.reporting.graph_layout import layout
from mae_lib.reporting.more_seeds import HERE
from mae_lib.reporting.pages.executed import Page, drawn, stands
from mae_lib.reporting.verdict_box import kind
from mae_lib.theory import LatentHierarchy, SharedInformation, locate_shared_information

_STEP, _RISE, _RADIUS, _MARGIN = 38, 62, 15, 26  # pixels between neighbours and levels; of a node; around the picture
_HIDDEN = {"Hide little": 1, "Hide in between": 3, "Hide nearly all": 6}  # of Figure 4's seven pixels, the first ones
_CAPTION = (
    "Latent variables make pixels, and a mask hides some of them (crossed). In blue what the hidden and the visible "
    "pixels share, as Algorithm 1 finds it on a graph that fits the caption of the paper's Figure 4. Hide too little "
    "or too much, and what is shared lies low."
)


def picture() -> str:
    """Figure 4 of the paper in three panels: how much is hidden decides how deep the shared latents lie."""
    hierarchy = LatentHierarchy.figure_4()
    panels = "".join(_panel(hierarchy, title, count) for title, count in _HIDDEN.items())
    return (
        f'<figure class="mae-hero"><div class="mae-panels">{panels}</div><figcaption>{_CAPTION}</figcaption></figure>'
    )


def _panel(hierarchy: LatentHierarchy, title: str, count: int) -> str:
    masked = hierarchy.observables[:count]
    shared = locate_shared_information(hierarchy, masked)
    levels = max(hierarchy.level(z) for z in hierarchy.latents)
    found = max(hierarchy.level(z) for z in shared.c)
    names = ", ".join(sorted(map(str, shared.c)))
    high = "the top" if found == levels else f"level {found} of {levels}"
    alt = f"{title}: {count} of {len(hierarchy.observables)} pixels. The shared latents are {names}, {high}."
    return (
        f'<div class="mae-panel"><p class="mae-panel-title">{title}</p>{_drawing(hierarchy, shared, set(masked), alt)}'
        f"<p><i>c</i> = {{{_subscripts(names)}}}, {high}</p></div>"
    )


def _subscripts(names: str) -> str:
    return "".join(f"<sub>{letter}</sub>" if letter.isdigit() else escape(letter) for letter in names)


def _drawing(hierarchy: LatentHierarchy, shared: SharedInformation, masked: set, alt: str) -> str:
    place = layout(hierarchy)
    top, left = max(y for _, y in place.values()), min(x for x, _ in place.values())
    where = {node: (_MARGIN + (x - left) * _STEP, _MARGIN + (top - y) * _RISE) for node, (x, y) in place.items()}
    wide, high = (max(point[i] for point in where.values()) + _MARGIN for i in (0, 1))
    edges = [
        "M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*where[parent], *where[child])
        for parent in hierarchy.latents
        for child in hierarchy.children(parent)
    ]
    nodes = [
        _latent(where[z], str(z), "c" if z in shared.c else "split" if z in shared.split else "")
        for z in hierarchy.latents
    ]
    pixels = [_pixel(where[x], x in masked) for x in hierarchy.observables]
    return (
        f'<svg viewBox="0 0 {wide:.0f} {high:.0f}" role="img" aria-label="{escape(alt)}">'
        f'<path class="edge" d="{"".join(edges)}"/>{"".join(nodes)}{"".join(pixels)}</svg>'
    )


def _latent(point: tuple[float, float], name: str, state: str) -> str:
    x, y = point
    return (
        f'<g class="latent {state}"><circle class="ground" cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}"/>'
        f'<circle class="tint" cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}"/>'
        f'<text x="{x:.1f}" y="{y:.1f}">{name[0]}<tspan dy="4" font-size="13">{name[1:]}</tspan></text></g>'
    )


def _pixel(point: tuple[float, float], hidden: bool) -> str:
    x, y = (value - _RADIUS * 0.8 for value in point)
    side, kind = 1.6 * _RADIUS, "pixel hidden" if hidden else "pixel"
    arm = side - 12
    cross = f'<path d="M{x + 6:.1f} {y + 6:.1f}l{arm:.1f} {arm:.1f}m0 {-arm:.1f}l{-arm:.1f} {arm:.1f}"/>'
    return (
        f'<g class="{kind}"><rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" rx="2"/>'
        f"{cross if hidden else ''}</g>"
    )


# The claims that say most in five sentences: both theorems, what masks can do at all, and what trained models hold.
FOUND = (
    "shared-information-is-unique",
    "encoder-identifies-c",
    "extremes-cannot-isolate",
    "extreme-ratios-hurt-probe",
    "moderate-ratios-prefer-shape",
)
_SAID: dict[Word, str] = {
    "supported": "It holds.",
    "contradicted": "The opposite holds.",
    "mixed": "A part of it holds, and of a part the opposite.",
    "undecided": "Undecided.",
    "not run": "It has not been tried.",
}


def found(pages: Mapping[str, Page]) -> str:
    """Five sentences on what came out: claims with the verdict of the strongest run, this build's beside, and links."""
    findings = "".join(_finding(load_claims()[claim], pages) for claim in FOUND)
    return f'{_scale(pages)}<ul class="mae-found">{findings}</ul>'


def _scale(pages: Mapping[str, Page]) -> str:
    """At which preset the verdicts were found, and that the smallest shows nothing."""
    presets = {str(page.record["parameters"]["preset"]) for page in pages.values() if page.record}
    if not presets:
        return ""
    small = " It trains far too little to decide a claim: it shows that everything runs." if "smoke" in presets else ""
    named = " and ".join(f"<em>{escape(preset)}</em>" for preset in sorted(presets))
    return f"<p>Each verdict is that of the strongest run. This build is at the preset {named}.{small}</p>"


def _finding(claim: Claim, pages: Mapping[str, Page]) -> str:
    found, here = stands(claim, pages), drawn(claim, pages)
    word = found.verdict.verdict
    own = pages[claim.notebook].verdicts[claim.id] if here else "not run"
    run = f"{escape(found.words)}" if found.key else ""
    beside = f"; this build: {ICONS[own]}&nbsp;{own}" if found.key not in ("", HERE) else ""
    also = f" <span>From {run}{beside}.</span>" if run else ""
    where = f"experiments/{claim.notebook}.html" + (f"#claim-{claim.id}" if here else "")
    said = escape(claim.claim)
    why = f'<a class="reference internal" href="{where}">See why<span class="mae-unseen">: {said}</span></a>'
    verdict = f"<strong>{ICONS[word]} {_SAID[word]}</strong>"
    return f'<li class="mae-{kind(word)}">{verdict} {said} {why}{also}</li>'


def counts(pages: Mapping[str, Page]) -> str:
    """How many of the ledger's claims came out how: a badge for each word, and a link to the ledger."""
    words = Counter(stands(claim, pages).verdict.verdict for claim in load_claims().values())
    badges = "".join(
        f'<li class="mae-{kind(word)}"><b>{words[word]}</b> <span>{ICONS[word]} {word}</span></li>' for word in ICONS
    )
    total = f"{len(load_claims())} claims, each decided by a rule on the strongest run that has it."
    there = '<a class="reference internal" href="experiments/ledger.html">The ledger</a>'
    return f'<div class="mae-counts"><ul>{badges}</ul><p>{total} {there} lists them all.</p></div>'
