"""The whole book as an EPUB: pages that flow to any screen and need neither a network nor a script.

Sphinx writes the pages, their order and their contents. A headless browser then makes of each what a reader of books
can show: formulas in MathML, explorers and other moving parts as the pictures and tables that stand in for them, and
answers at the end of the chapter, a link away from their questions.
"""

import base64
import hashlib
import os
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import yaml

from maebook.archive import entry
from maebook.pdf import browser_binary
from maebook.render import render
from maebook.sphinx.front_door import picture

STYLE, COVER, FLATTEN = "book.css", "cover.png", Path(__file__).with_name("epub.js")
_OPF, _DC = "http://www.idpf.org/2007/opf", "http://purl.org/dc/elements/1.1/"
_DATA = re.compile(r'\b((?:href|src)=")data:image/([a-z]+)(?:\+xml)?;base64,([^"]+)')
_GROUND = "var(--pst-color-background, Canvas)"  # of a figure; a night page is darker than its Canvas
_PICTURE = re.compile(r'<(?:img|image) [^>]*?(?:href|src)="([^":]+)"')


def make_epub(root: Path, preset: str, runs: Path, target: Path) -> Path:
    """Write the book in `root`, from the notebooks executed at `preset`, into `target`; returns `target`.

    Raises BookError as `render`, and ValueError without a browser.
    """
    binary = browser_binary()
    folder = render(root, preset, runs, "epub")
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    package = ElementTree.parse(folder / "content.opf")
    pages, title = _in_order(package), package.getroot().find(f".//{{{_DC}}}title").text
    files = dict(_flat(binary, folder, pages))
    files |= {STYLE: FLATTEN.with_suffix(".css").read_bytes(), COVER: picture(title, 1200, 1800, dpi=200)}
    _describe(package, files, cited["date-released"])
    for name in ("content.opf", "toc.ncx", "nav.xhtml", "META-INF/container.xml"):
        files[name] = (folder / name).read_bytes()
    files["content.opf"] = ElementTree.tostring(package.getroot(), "utf-8", xml_declaration=True)
    _pack(files, target)
    return target


def _named(package: ElementTree.ElementTree, name: str) -> list[ElementTree.Element]:
    return package.getroot().findall(f".//{{{_OPF}}}{name}")


def _in_order(package: ElementTree.ElementTree) -> list[str]:
    """The pages of the book as they are read; what is in no order (an index, a page not found) is left out."""
    items = {item.get("id"): item.get("href") for item in _named(package, "item")}
    (spine,) = _named(package, "spine")
    for place in list(spine):
        if place.get("linear") == "no":
            spine.remove(place)
    return [items[place.get("idref")] for place in spine]


def _flat(binary: str, folder: Path, pages: list[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each page as a reader of books can show it, and of each picture in it."""
    from playwright.sync_api import sync_playwright

    def serve(route) -> None:  # pages are not yet well formed, so the browser is to read them as HTML
        file = folder / route.request.url.removeprefix("http://book/").partition("?")[0]
        if (file.suffix == ".js" and "mathjax" not in file.parts) or not file.is_file():
            route.abort()
        else:
            route.fulfill(path=file, **({"content_type": "text/html"} if file.suffix == ".xhtml" else {}))

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=binary, args=options)
        tab = browser.new_page(color_scheme="light", viewport={"width": 600, "height": 800})
        tab.set_default_timeout(600_000)
        tab.route("**/*", serve)
        for page in pages:
            tab.goto(f"http://book/{page}")
            up = "../" * page.count("/")
            text = tab.evaluate(FLATTEN.read_text(encoding="utf-8"), [pages, up + STYLE])
            text = _DATA.sub(partial(_apart, folder, up), text.replace(_GROUND, "none"))
            yield page, text.encode()
            for image in _PICTURE.findall(text):
                file = (folder / page).parent.joinpath(image).resolve()
                yield file.relative_to(folder.resolve()).as_posix(), file.read_bytes()
        browser.close()


def _apart(folder: Path, up: str, found: re.Match) -> str:
    """A picture as a file of its own, by its content: many readers show none that stands in the page."""
    address, kind, content = found[1], found[2], base64.b64decode(found[3])
    name = f"pictures/{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return address + up + name


_TYPES = {".xhtml": "application/xhtml+xml", ".css": "text/css", ".png": "image/png", ".jpeg": "image/jpeg"}
_TYPES |= {".jpg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml"}


def _describe(package: ElementTree.ElementTree, files: dict[str, bytes], date: str) -> None:
    """List exactly `files` in the package, with what a reader must know of each; its date is the edition's."""
    (manifest,), (metadata,) = _named(package, "manifest"), _named(package, "metadata")
    known = {item.get("href"): item for item in manifest}
    for href, item in known.items():
        if href not in files and item.get("id") not in ("ncx", "nav"):
            manifest.remove(item)
    for number, (name, content) in enumerate(files.items()):
        item = known.get(name)
        if item is None:
            kind = {"id": f"file-{number}", "href": name, "media-type": _TYPES[Path(name).suffix]}
            item = ElementTree.SubElement(manifest, f"{{{_OPF}}}item", kind)
        has = [what for what, mark in (("mathml", b"<math"), ("svg", b"<svg")) if mark in content]
        if name == COVER:
            has = ["cover-image"]
            ElementTree.SubElement(metadata, f"{{{_OPF}}}meta", {"name": "cover", "content": item.get("id")})
        if has and not name.endswith(".svg"):
            item.set("properties", " ".join(has))
    metadata.find(f"{{{_DC}}}date").text = date
    metadata.find(f"{{{_OPF}}}meta[@property='dcterms:modified']").text = f"{date}T00:00:00Z"


def _pack(files: dict[str, bytes], target: Path) -> None:
    """An EPUB of `files`: the same bytes for the same files, its kind first and as it stands."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    with zipfile.ZipFile(aside, "w") as packed:
        packed.writestr(entry("mimetype"), b"application/epub+zip", zipfile.ZIP_STORED)
        for name in sorted(files):
            packed.writestr(entry(name), files[name], zipfile.ZIP_DEFLATED)
    os.replace(aside, target)
