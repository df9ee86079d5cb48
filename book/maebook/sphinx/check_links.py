"""Links within the rendered book: each must lead to a file that is there, and to an anchor that it has."""

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

_ADDRESS = re.compile(r'<(?:a|link|img|script|source)\b[^>]*?\s(?:href|src)="([^"]*)"')
_ANCHOR = re.compile(r'\sid="([^"]*)"')


def book_pages(folder: Path) -> list[Path]:
    """The rendered pages below `folder`, without what the theme keeps beside them."""
    return sorted(page for page in folder.rglob("*.html") if not page.relative_to(folder).parts[0].startswith("_"))


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def anchors(page: Path) -> frozenset[str]:
    """The ids of a page."""
    return frozenset(unescape(found) for found in _ANCHOR.findall(_text(page)))


def addresses(page: Path) -> Iterator[str]:
    """Every address within the book that a page names."""
    for found in dict.fromkeys(_ADDRESS.findall(_text(page))):
        address = unescape(found)
        if address and not (parts := urlsplit(address)).scheme and not parts.netloc:
            yield address


def broken_links(folder: Path) -> list[str]:
    """ "page: address" for every link of the pages below `folder` that leads nowhere."""
    _text.cache_clear()
    anchors.cache_clear()
    broken = []
    for page in book_pages(folder):
        for address in addresses(page):
            parts = urlsplit(address)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            missing = not target.exists() or (
                parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in anchors(target)
            )
            if missing:
                broken.append(f"{page.relative_to(folder).as_posix()}: {address}")
    return broken
