"""The rendered book in the hands of a reader: cards, verdicts, origins, access for all. Skipped without a book."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup

from mae_lib.claims.claims import load_claims
from maebook.bundles import VERDICT, outputs
from maebook.sphinx.check_links import broken_links
from maebook.sphinx.fixes import LEFT

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "book" / "_build" / "html"
if not (HTML / "index.html").exists():
    pytest.skip("no book is built: run make book", allow_module_level=True)

CONTENT = [page for page in sorted(HTML.glob("*.html")) if page.stem not in {"genindex", "search", "prf-prf"}]
CONTENT += sorted((HTML / "experiments").glob("*.html")) + sorted((HTML / "teaching").glob("*.html"))
SHAPES = "3_4_shape_bias"


def name(page: Path) -> str:
    return page.relative_to(HTML).as_posix()


@pytest.fixture
def tab(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def test_every_link_and_anchor_resolves():
    assert not broken_links(HTML)


# Access


def complaints(tab, page: Path) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    tab.goto(page.as_uri())
    tab.evaluate("window.MathJax?.startup?.promise")  # formulas have no words before they are set
    tab.wait_for_timeout(300)  # and colours fade in
    found = Axe().run(tab).response["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['target']}" for rule in found if rule["id"] not in LEFT]


@pytest.mark.parametrize("page", CONTENT, ids=name)
def test_axe_finds_nothing(page, tab):
    assert not complaints(tab, page)


DARK = ["index", "paper_map", "assumptions", "chapter_map", "source_masks", "teaching/guide"]
DARK += [f"experiments/{one}" for one in (SHAPES, "3_0_images", "3_5_transfer", "3_6_suggestions", "ledger")]


@pytest.mark.parametrize("page", DARK)
def test_axe_finds_nothing_in_the_dark(page, browser):
    context = browser.new_context(color_scheme="dark")
    found = complaints(context.new_page(), HTML / f"{page}.html")
    context.close()
    assert not found


MADE = ["paper_map", "notation", "assumptions", "status", "source_mae", "index", "chapter_map", "cite"]


@pytest.mark.parametrize("page", MADE)
def test_made_pages_fit_a_phone(page, browser):
    context = browser.new_context(viewport={"width": 375, "height": 800})
    narrow = context.new_page()
    narrow.goto((HTML / f"{page}.html").as_uri())
    cut = narrow.evaluate(
        """() => [...document.querySelectorAll("article :is(td, p, a, svg, .mae-prose)")]
        .filter(part => !part.closest(".mae-scroll"))
        .filter(part => part.getBoundingClientRect().right > innerWidth + 1).map(part => part.textContent)"""
    )
    context.close()
    assert not cut


def test_nothing_moves_for_those_who_asked_for_it(browser):
    context = browser.new_context(reduced_motion="reduce")
    still = context.new_page()
    still.goto((HTML / "index.html").as_uri())
    moving = ".mae-hero :is(.cover, .latent), .mae-bar > i"
    times = still.eval_on_selector_all(moving, "all => all.map(e => getComputedStyle(e).transitionDuration)")
    context.close()
    assert times and set(times) == {"0s"}


# Every control is reached by Tab, shows that it is, and is worked by a key: page, control, key, what changes (in
# JavaScript, of the control).
CONTROLS = {
    "theme": ("index", ".theme-switch-button", "Enter", "() => document.documentElement.dataset.mode"),
    "copy a command": (
        f"experiments/{SHAPES}",
        "#run-card button.copybtn",
        "Enter",
        "e => e.classList.contains('success')",
    ),
    "copy a citation": ("cite", "button.copybtn", "Space", "e => e.classList.contains('success')"),
    "fold of an origin": (f"experiments/{SHAPES}", ".mae-origin > summary", "Enter", "e => e.parentElement.open"),
    "fold of a cell": (f"experiments/{SHAPES}", "details.hide summary", "Space", "e => e.parentElement.open"),
    "fold of a verdict": (f"experiments/{SHAPES}", ".mae-line > summary", "Enter", "e => e.parentElement.open"),
    "fold of a solution": (
        f"experiments/{SHAPES}",
        ".solution .toggle-button, .solution summary",
        "Enter",
        "e => e.closest('.toggle, details')?.open ?? e.classList.contains('toggle-button-hidden')",
    ),
    "quiz": (
        f"experiments/{SHAPES}",
        ".mae-quiz button",
        "Enter",
        "e => e.closest('form').querySelector('.mae-said').textContent",
    ),
    "contents": (
        "index",
        ".primary-toggle",
        "Enter",
        "() => document.querySelector('.bd-sidebar-primary').className",
    ),
    "download": ("index", ".dropdown-download-buttons > button", "Enter", "e => e.ariaExpanded"),
    "search": ("index", ".search-button__button", "Enter", "() => document.activeElement.tagName"),
    "a chapter of the map": ("chapter_map", ".mae-chapters a", "Enter", "() => location.href"),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_reached_and_worked_by_keys(control, browser):
    page, selector, key, state = CONTROLS[control]
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-write"])
    tab = context.new_page()
    tab.goto((HTML / f"{page}.html").as_uri())
    tab.wait_for_load_state()
    one = tab.locator(selector).locator("visible=true").first.element_handle()
    # From just before it, or before the box that holds it, a few Tabs get there.
    one.evaluate("""e => {
        const before = document.createElement("button");
        (e.closest("details, fieldset, svg") ?? e).before(before);
        before.focus();
    }""")
    for _ in range(8):
        tab.keyboard.press("Tab")
        if reached := one.evaluate("e => document.activeElement === e"):
            break
    assert reached, "Tab passes it by"
    ring = "e => e && [getComputedStyle(e).outlineStyle, getComputedStyle(e).boxShadow].some(style => style !== 'none')"
    assert one.evaluate(f"e => [e, e.nextElementSibling].some({ring})"), "nothing shows that it has the focus"
    read = (lambda: tab.evaluate(state)) if state.startswith("()") else (lambda: one.evaluate(state))
    before = read()
    tab.keyboard.press(key)
    tab.wait_for_timeout(400)
    assert read() != before
    context.close()


# Cards


def test_a_card_opens_on_focus_and_on_hover_and_escape_closes_it(tab):
    tab.goto((HTML / "experiments" / "2_3_theorem_1.html").as_uri())
    card = tab.locator("#mae-card-shown")
    link = tab.locator("article a.mae-term.mae-has-card").first
    tab.keyboard.press("Tab")  # from now on the keyboard is in use
    link.focus()
    card.wait_for(state="visible")
    assert link.get_attribute("aria-describedby") == "mae-card-shown" and card.get_attribute("role") == "tooltip"
    assert link.inner_text().rstrip("s").lower() in card.inner_text().lower()
    tab.keyboard.press("Escape")
    card.wait_for(state="hidden")
    assert link.get_attribute("aria-describedby") is None
    citation = tab.locator("article a[href*='bibliography.html#'].mae-has-card").first
    citation.hover()
    card.wait_for(state="visible")
    assert re.search(r"\d{4}", card.inner_text())
    tab.mouse.move(5, 5)
    card.wait_for(state="hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_card_that_tab_has_scrolled_to_stays_until_escape(scheme, browser):
    context = browser.new_context(viewport={"width": 800, "height": 400}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto((HTML / "experiments" / "2_3_theorem_1.html").as_uri())
    tab.wait_for_load_state()
    link = tab.locator("article a.mae-has-card").locator("visible=true").last.element_handle()
    assert link.evaluate("e => e.getBoundingClientRect().top > innerHeight")
    link.evaluate("""e => {
        const before = document.createElement("button");
        e.before(before);
        before.focus({preventScroll: true});
    }""")
    tab.keyboard.press("Tab")
    card = tab.locator("#mae-card-shown")
    card.wait_for(state="visible")
    tab.wait_for_timeout(500)  # the page has scrolled by now
    assert card.is_visible() and link.evaluate("e => document.activeElement === e")
    gap = "([c, e]) => Math.min(Math.abs(c.top - e.bottom), Math.abs(e.top - c.bottom))"
    boxes = [part.evaluate("e => e.getBoundingClientRect().toJSON()") for part in (card, link)]
    assert tab.evaluate(gap, boxes) < 40
    ink, paper = card.evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
    dark = [sum(map(int, re.findall(r"\d+", colour)[:3])) < 384 for colour in (ink, paper)]
    assert dark == [scheme == "light", scheme == "dark"]
    tab.keyboard.press("Escape")
    card.wait_for(state="hidden")
    assert link.evaluate("e => document.activeElement === e")
    context.close()


def test_a_card_of_a_theorem_shows_its_mathematics(tab):
    tab.goto((HTML / "appendix_a.html").as_uri())
    tab.wait_for_selector("article mjx-container", state="attached")
    link = tab.locator("article a[href$='#theorem-1'].mae-has-card").first
    link.hover()
    tab.locator("#mae-card-shown mjx-container").first.wait_for(state="visible")


@pytest.mark.parametrize("page", CONTENT, ids=name)
def test_a_word_of_the_glossary_is_linked_once_a_page_and_has_its_card(page):
    text = page.read_text()
    terms = re.findall(r'<a class="[^"]*mae-term[^"]*" href="([^"]+)"', text)
    assert len(terms) == len(set(terms)) and all(f'data-for="{term}"' in text for term in terms)


@pytest.mark.parametrize("page", [page for page in CONTENT if page.parent.name == "experiments"], ids=name)
def test_every_figure_says_where_it_comes_from(page):
    soup = BeautifulSoup(page.read_text(), "html.parser")
    for figure in soup.select("figure.mae-figure:not(:has(mae-scrubber), mae-scrubber *)"):
        origin = figure.find_next_sibling(class_="mae-origin")
        assert "papermill notebooks/" in origin.text and figure.parent["id"]
    assert all(link["href"].startswith("data:text/csv") for link in soup.select(".mae-data"))


# Published


def test_without_scripts_all_results_are_there(browser):
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto((HTML / "experiments" / f"{SHAPES}.html").as_uri())
    for line in plain.locator(".mae-line > summary, .mae-elsewhere > summary").all():
        line.click()
    assert plain.locator(".mae-elsewhere > div").count() == plain.locator(".mae-elsewhere > div:visible").count() > 0
    context.close()


# A new user


def test_the_ledgers_head_stays_in_sight_and_covers_no_claim(tab):
    tab.goto((HTML / "experiments" / "ledger.html").as_uri())
    head, first = tab.locator(".mae-ledger thead"), tab.locator(".mae-ledger thead th").first
    row = tab.locator(".mae-ledger tbody tr").first
    row.scroll_into_view_if_needed()
    bottom = first.bounding_box()["y"] + first.bounding_box()["height"]
    assert bottom <= row.bounding_box()["y"] + 1
    tab.evaluate("window.scrollBy({top: 3000, behavior: 'instant'})")
    assert head.bounding_box()["y"] < 0 < first.bounding_box()["y"] < 200


def test_a_new_user_finds_a_claim_its_figure_its_source_and_its_number(browser, tmp_path):
    """From the front page to a number that the reader's own machine computes again."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto((HTML / "index.html").as_uri())
    tab.get_by_role("link", name="The ledger").first.click()

    claim = load_claims()["moderate-ratios-prefer-shape"]
    row = tab.locator("tr", has=tab.get_by_text(claim.claim)).first
    row.locator(f"a[href$='#claim-{claim.id}']").click()
    tab.wait_for_url(f"**/{SHAPES}.html#claim-{claim.id}")
    box = tab.locator(f"#claim-{claim.id}")
    box.locator("> summary").click()

    published = box.locator(".mae-elsewhere > div", has_text="cpu,")
    assert published.is_hidden()
    box.locator(".mae-elsewhere > summary").click()
    published.wait_for(state="visible")
    numbers = box.locator(".mae-own > details td").all_text_contents()
    assert numbers

    figure = tab.locator(".mae-shown:has(a.mae-data)").first
    figure.locator(".mae-origin > summary").click()
    link = figure.locator("a.mae-data")
    assert unquote(link.get_attribute("href")).startswith("data:text/csv") and link.get_attribute("download")
    place = tab.locator("p.mae-alone a", has_text="The figure")  # what the cell keeps of it
    cell = place.locator("xpath=ancestor::div[contains(@class, 'cell ') or contains(@class, 'cell_')][last()]")
    for fold in cell.locator("details.hide > summary").all():
        fold.click()
    assert "show(" in cell.inner_text()

    figure.locator(".mae-origin pre").hover()
    figure.locator(".mae-origin button.copybtn").click()
    command = shlex.split(tab.evaluate("navigator.clipboard.readText()"))
    context.close()
    assert command[0] == "papermill"

    out = tmp_path / "out.ipynb"
    command[2] = str(out)
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    shown = outputs(nbformat.read(out, as_version=4))
    (own,) = (data["text/html"] for data in shown if data.get(VERDICT, {}).get("claim") == claim.id)
    assert re.findall(r"<td>([^<]*)</td>", own) == numbers
