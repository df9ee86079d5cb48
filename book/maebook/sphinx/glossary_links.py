"""The first time that a page uses a word of the glossary, the word links to it."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

_LEFT_ALONE = (
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.title,
    nodes.raw,
    nodes.math,
    nodes.term,
    nodes.caption,
    nodes.citation,
    nodes.thead,
)
GLOSSARY = "glossary"


class GlossaryLinks(SphinxPostTransform):
    """Links each term of the page `glossary` where a paragraph of another page first uses it, in either number."""

    default_priority = 210  # references are resolved by now

    def run(self, **options) -> None:
        env = self.env
        if env.docname == GLOSSARY or self.app.builder.format != "html":
            return
        objects = env.get_domain("std").get_objects()
        terms = {
            name.lower(): anchor for name, _, kind, page, anchor, _ in objects if kind == "term" and page == GLOSSARY
        }
        if not terms:
            return
        words = sorted(terms, key=lambda term: (-len(term), term))
        pattern = re.compile(rf"\b({'|'.join(map(re.escape, words))})(s?)\b", re.IGNORECASE)
        seen: set[str] = set()
        for text in list(self.document.findall(nodes.Text)):
            if _in_prose(text):
                _link(text, pattern, terms, seen, self._address())

    def _address(self) -> str:
        return self.app.builder.get_relative_uri(self.env.docname, GLOSSARY)


def _in_prose(text: nodes.Text) -> bool:
    above, inside = text.parent, False
    while above is not None:
        if isinstance(above, _LEFT_ALONE):
            return False
        inside |= isinstance(above, nodes.paragraph)
        above = above.parent
    return inside


def _link(text: nodes.Text, pattern: re.Pattern, terms: dict[str, str], seen: set[str], page: str) -> None:
    parts: list[nodes.Node] = []
    end = 0
    for found in pattern.finditer(text.astext()):
        term = found[1].lower()
        if term in seen:
            continue
        seen.add(term)
        parts.append(nodes.Text(text.astext()[end : found.start()]))
        # `refid` in a single file, an address in many.
        reference = nodes.reference("", "", internal=True, refuri=f"{page}#{terms[term]}", classes=["mae-term"])
        parts.append(reference)
        reference += nodes.inline("", found[0])
        end = found.end()
    if parts:
        text.parent.replace(text, [*parts, nodes.Text(text.astext()[end:])])
