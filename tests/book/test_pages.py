"""The rendered book, as a browser meets it: whole, offline, legible on a phone. Skipped where none is built."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "book" / "_build" / "html"
if not (HTML / "index.html").exists():
    pytest.skip("no book is built: run make book", allow_module_level=True)

PAGES = sorted(HTML.glob("*.html")) + sorted((HTML / "experiments").glob("*.html"))
PAGES += sorted((HTML / "teaching").glob("*.html"))
CONTENT = [page for page in PAGES if page.stem not in {"genindex", "search", "prf-prf"}]
NOTEBOOKS = [page for page in CONTENT if page.parent.name == "experiments"]


def name(page: Path) -> str:
    return page.relative_to(HTML).as_posix()


@cache
def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(), "html.parser")


def test_every_entry_of_the_contents_has_its_page():
    contents = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    entries = [entry["file"] for chapter in chapters for entry in (chapter, *chapter.get("sections", []))]
    assert {name(page) for page in CONTENT} == {f"{entry}.html" for entry in [contents["root"], *entries]}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_anchors_resolve_and_nothing_is_loaded_from_elsewhere(page):
    broken = []
    for tag in soup(page).find_all(["a", "link", "script", "img", "source", "iframe"]):
        url = tag.get("href") or tag.get("src") or ""
        parts = urlsplit(url)
        if parts.scheme == "data" or not url:
            continue
        if parts.scheme or parts.netloc:
            assert tag.name == "a", f"{url} would be loaded from elsewhere"
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists() or (
            parts.fragment and target.suffix == ".html" and not soup(target).find(id=unquote(parts.fragment))
        ):
            broken.append(url)
    assert not broken


@pytest.mark.parametrize("page", CONTENT, ids=name)
def test_every_picture_says_what_it_shows(page):
    for image in soup(page).find_all("img"):
        assert image.get("alt", "").strip(), image
    for drawing in soup(page).select("figure svg"):
        assert drawing.get("aria-label", "").strip()


@pytest.mark.parametrize("page", NOTEBOOKS, ids=name)
def test_a_notebook_can_be_downloaded_and_closes_with_its_card(page):
    assert any(link.get("href", "").endswith(f"{page.stem}.ipynb") for link in soup(page).find_all("a"))
    assert soup(page).select(".mae-card") and not soup(page).select(".cell.tag_injected-parameters")
    assert "Traceback (most recent call last)" not in page.read_text()
    assert not soup(page).select(".output.stderr"), "a warning stands on the page"


@pytest.mark.parametrize("page", CONTENT, ids=name)
def test_no_path_of_the_machine_that_built_it(page):
    assert str(ROOT) not in page.read_text()


@pytest.mark.parametrize("page", CONTENT, ids=name)
def test_on_a_phone_nothing_leaves_nothing_fails_and_nothing_is_cut_off(page, browser):
    context = browser.new_context(viewport={"width": 375, "height": 800})
    tab, outside, errors = context.new_page(), [], []
    tab.on("request", lambda request: outside.append(request.url) if request.url.startswith("http") else None)
    tab.on("requestfailed", lambda request: errors.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(page.as_uri())
    if soup(page).select("span.math, div.math"):
        tab.wait_for_selector("mjx-container", state="attached")
    width = tab.evaluate("document.documentElement.scrollWidth")
    # The article clips what it cannot show, so formulas and names in the text, and the links below it, are measured.
    cut = tab.evaluate(
        """() => [...document.querySelectorAll('article :is(p, li) :is(code, mjx-container), .prev-next-area a')]
        .filter(part => !part.closest('table, pre, details:not([open]), div.math, .mae-scroll'))
        .filter(part => part.getBoundingClientRect().right > innerWidth).map(part => part.textContent)"""
    )
    context.close()
    assert not outside and not errors and width <= 375 and not cut


# Every text of the figures and its size on the screen. An axis' name may be turned; an index is small.
LETTERS = """() => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
    const size = element => parseFloat(getComputedStyle(element).fontSize);
    return [...document.querySelectorAll(".mae-figure svg text")].filter(text => text.checkVisibility()).map(text => {
        const {a, b} = text.getScreenCTM();
        return [text.textContent, Math.max(size(text), ...[...text.children].map(size)) * Math.hypot(a, b)];
    });
}"""


@pytest.mark.parametrize("page", [page for page in CONTENT if soup(page).select(".mae-figure svg text")], ids=name)
def test_on_a_phone_the_text_of_figures_is_legible(page, browser):
    context = browser.new_context(viewport={"width": 375, "height": 800})
    tab = context.new_page()
    tab.goto(page.as_uri())
    sizes = tab.evaluate(LETTERS)
    context.close()
    assert sizes and not [(text, size) for text, size in sizes if size < 9]


@pytest.mark.parametrize("page", [page for page in NOTEBOOKS if re.match(r"3_[1-5]_", page.stem)], ids=name)
def test_the_first_figure_stands_high(page, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(page.as_uri())
    top = tab.locator(".mae-figure").first.bounding_box()["y"]
    context.close()
    assert top < 1.5 * 900


def test_search_finds_a_word_of_a_notebook(browser):
    tab = browser.new_page()
    tab.goto((HTML / "search.html").as_uri() + "?q=theorem")
    tab.wait_for_selector("#search-results li a")
    assert "2_3_theorem_1" in tab.inner_html("#search-results")
    tab.close()


def luminance(colour: str) -> float:
    """Relative luminance of a CSS colour "rgb(r, g, b)" (WCAG 2.1)."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# The ink of an element, and the first background that is not transparent, from it upwards.
INK_AND_PAPER = """element => {
    let paper = element;
    const clear = "rgba(0, 0, 0, 0)";
    while (getComputedStyle(paper).backgroundColor === clear && paper.parentElement) paper = paper.parentElement;
    return [getComputedStyle(element).color, getComputedStyle(paper).backgroundColor];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", NOTEBOOKS, ids=name)
def test_figures_verdicts_and_cards_stand_out_from_their_ground(page, scheme, browser):
    context = browser.new_context(color_scheme=scheme)
    tab = context.new_page()
    tab.goto(page.as_uri())
    chosen = ".mae-figure svg, .mae-figure figcaption, .mae-verdict p, .mae-card p"
    pairs = [element.evaluate(INK_AND_PAPER) for element in tab.query_selector_all(chosen)]
    context.close()
    assert pairs
    for pair in pairs:
        dark, light = sorted(map(luminance, pair))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair
