"""The whole book as one PDF: Sphinx puts all pages into one, a headless browser prints it with an outline and links."""

import logging
import os
import shutil
from pathlib import Path

from maebook.render import render

# What a printed page wants otherwise: solutions and the answers of quizzes open, code that was folded away left away,
# links that stay in the book.
FOR_PRINT = """async () => {
  await MathJax.startup.promise;
  for (const answer of document.querySelectorAll(".mae-answer")) answer.hidden = false;
  for (const part of document.querySelectorAll("details"))
    part.open = !part.matches(".hide, .mae-origin, .toggle-details.above-input");
  for (const folded of document.querySelectorAll(".toggle-hidden")) folded.classList.remove("toggle-hidden");
  for (const link of document.querySelectorAll("a[href]")) {
    const [page, anchor] = link.getAttribute("href").split("#");
    if (/^(?:[a-z]+:|$)/.test(page) || !page.endsWith(".html")) continue;
    const target = anchor && document.getElementById(anchor) ? anchor : "document-" + page.replace(/\\.html$/, "");
    if (document.getElementById(target)) link.setAttribute("href", "#" + target);
    else link.removeAttribute("href");
  }
  for (const picture of document.images) await picture.decode().catch(() => {});
}"""
_FOOT = (
    '<p style="width: 100%; margin: 0 15mm; font: 8px sans-serif; text-align: center">'
    '<span class="pageNumber"></span> of <span class="totalPages"></span></p>'
)


def browser_binary() -> str:
    """The browser that prints, Chromium or Chrome. Raises ValueError where neither is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    raise ValueError("no Chromium or Chrome is installed, and the PDF is printed by one: install either")


def make_pdf(root: Path, preset: str, runs: Path, target: Path) -> Path:
    """Print the book in `root` from the notebooks executed at `preset` into `target`; returns `target`.

    Raises BookError as `build`, and ValueError without a browser.
    """
    binary = browser_binary()
    page = render(root, preset, runs, "singlehtml") / "index.html"
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    aside.parent.mkdir(parents=True, exist_ok=True)
    _print(binary, page, aside)
    _finish(aside)
    os.replace(aside, target)
    return target


def _print(binary: str, page: Path, target: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=binary, args=options)
        tab = browser.new_page(color_scheme="light")
        tab.set_default_timeout(600_000)
        tab.goto(page.as_uri())
        tab.evaluate(FOR_PRINT)
        margins = dict.fromkeys(("top", "bottom", "left", "right"), "16mm")
        tab.pdf(
            path=target,
            format="A4",
            margin=margins,
            outline=True,
            tagged=True,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=_FOOT,
        )
        browser.close()


def _finish(file: Path) -> None:
    """Name the book in the file, and leave out when it was printed, so that the same book is the same file."""
    from pypdf import PdfReader, PdfWriter

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it remarks on how the browser counts
    writer = PdfWriter(clone_from=PdfReader(file))
    writer.metadata = None
    writer.add_metadata({"/Title": "Understanding Masked Autoencoders, executable", "/Author": "The mae_lib authors"})
    with open(file, "wb") as out:
        writer.write(out)
