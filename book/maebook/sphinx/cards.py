"""Hover cards: what a link to a citation, a theorem or a term leads to, held by the page that links to it.

A page carries its cards in an inert `<template>`, so that nothing is fetched, and a page without scripts loses nothing:
the links are links.
"""

import re
from html import escape, unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from maebook.sphinx.check_links import addresses, book_pages

_STARTS = re.compile(
    r'<(?P<tag>div|dt)\b(?=[^>]*class="(?:proof|citation)\b|[^>]*id="term-)[^>]*\bid="(?P<id>[^"]+)"[^>]*>'
)
_LONGEST = 1200  # characters of text; a longer proof is better read in its place


def embed_cards(folder: Path) -> None:
    """Give every page below `folder` the cards of its links."""
    pages = book_pages(folder)
    cards = {page.resolve(): _cards(page) for page in pages}
    for page in pages:
        held = {address: card for address in addresses(page) if (card := _card(address, page, cards))}
        if held:
            parts = "".join(f'<div data-for="{escape(address)}">{card}</div>' for address, card in held.items())
            text = page.read_text(encoding="utf-8")
            page.write_text(text.replace("</body>", f'<template id="mae-cards">{parts}</template></body>', 1), "utf-8")


def _card(address: str, page: Path, cards: dict[Path, dict[str, str]]) -> str | None:
    parts = urlsplit(address)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
    return cards.get(target, {}).get(unquote(parts.fragment))


def _cards(page: Path) -> dict[str, str]:
    """What of a page makes a card, by its anchor: statements, bibliography entries and terms."""
    text = page.read_text(encoding="utf-8")
    found = {}
    for start in _STARTS.finditer(text):
        content = _content(BeautifulSoup(_element(text, start), "html.parser").find())
        if len(BeautifulSoup(content, "html.parser").get_text()) <= _LONGEST:
            found[unescape(start["id"])] = content
    return found


def _element(text: str, start: re.Match) -> str:
    """The element that begins at a match, to its own end; a term with its meaning."""
    if start["tag"] == "dt":
        return f"<dl>{text[start.start() : text.index('</dd>', start.end()) + 5]}</dl>"
    depth = 0
    for mark in re.compile(r"<(/?)div\b").finditer(text, start.start()):
        depth += -1 if mark[1] else 1
        if depth == 0:
            return text[start.start() : mark.end()] + ">"
    raise ValueError(f"the element {start[0]!r} has no end")


def _content(part: Tag) -> str:
    if part.name == "dl":
        return f"<p><strong>{escape(part.dt.get_text().rstrip('#'))}</strong></p>{_plain(part.dd)}"
    return _plain(part)


def _plain(part: Tag) -> str:
    """An element's HTML without ids and links, which a card must not repeat."""
    copy = BeautifulSoup(str(part), "html.parser").find()
    for link in copy.select("a.headerlink, .backrefs, .label"):
        link.decompose()
    for link in copy.find_all("a"):
        link.unwrap()
    for element in [copy, *copy.find_all(True)]:
        element.attrs.pop("id", None)
        element.attrs.pop("role", None)
    return copy.decode_contents().strip()
