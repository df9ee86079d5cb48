"""Slides: made of tagged cells, whole or not at all, and shown offline by keys, on paper and without scripts."""

import nbformat
import pytest
from legible import unreadable

from maebook.figures import figure, figure_html
from maebook.teaching.exercises import notebooks, read
from maebook.teaching.guide import GuideError
from maebook.teaching.slides import (
    Lecture,
    Slide,
    apart,
    lectures,
    rendered,
    shown,
    slides_html,
    tagged,
    write_slides,
)

FIGURE = '<figure class="mae-figure"><svg viewBox="0 0 1 1" role="img" aria-label="a"></svg></figure>'


def executed(name: str = "curve", lecture: str = "lecture-1", html: str = FIGURE) -> nbformat.NotebookNode:
    mark = {"tags": [lecture], "slideshow": {"slide_type": "slide"}, "slide": name}
    cell = nbformat.v4.new_code_cell("secret_code()", metadata=mark)
    if html:
        cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": "<object>"})]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), cell])


TWO = Lecture(
    "lecture-1", "A & B", "About.", 5, (Slide("One", "$a<b$ & `c`"), Slide("Two", cells="curve", notes="Say."))
)


def test_the_lectures_of_the_book_are_three_and_can_be_given():
    assert [lecture.tag for lecture in lectures()] == ["lecture-1", "lecture-2", "lecture-3"]
    for lecture in lectures():
        assert 8 <= len(lecture.slides) <= 20 and all(slide.title for slide in lecture.slides)


@pytest.mark.parametrize("lecture", lectures(), ids=lambda lecture: lecture.tag)
def test_every_slide_that_shows_cells_has_them_and_every_tagged_cell_has_its_slide(lecture):
    names = {name for path in notebooks() for name, _ in tagged(read(path), lecture.tag)}
    assert names == {slide.cells for slide in lecture.slides if slide.cells}


def test_a_slide_shows_what_a_cell_shows_and_not_its_code():
    html = slides_html(TWO, {"page": executed()})
    assert FIGURE in html and "secret_code" not in html and "&lt;object&gt;" not in html
    assert r"\(a&lt;b\)" in html and "<title>A &amp; B</title>" in html and html.count('<section class="slide') == 3


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (executed(lecture="lecture-2"), "no cell is tagged for the slide 'curve'"),
        (executed("other"), "no cell is tagged"),
        (executed(html=""), "show nothing: give notebooks that were executed"),
    ],
)
def test_a_slide_without_its_cells_is_refused(book, message):
    with pytest.raises(GuideError, match=message):
        slides_html(TWO, {"page": book})


def test_a_tagged_cell_that_no_slide_takes_is_refused_and_one_without_a_name_too():
    with pytest.raises(GuideError, match="'more', which is no slide"):
        slides_html(TWO, {"page": executed(), "next": executed("more")})
    bare = executed()
    del bare.cells[1].metadata["slide"]
    with pytest.raises(GuideError, match="page: cell 1 is tagged lecture-1, and lacks"):
        slides_html(TWO, {"page": bare})


def test_markdown_of_cells_loses_headings_and_myst():
    cell = nbformat.v4.new_markdown_cell(
        "## Title\n\n```{admonition} Take-away\nIt *is* {doc}`x <y>`.\n```\n\n$$ x_1 $$ (eq-a)"
    )
    html = shown(cell)
    assert "Title" not in html and "<blockquote>" in html and "{doc}" not in html and r"\[" in html
    assert rendered("a < b") == "<p>a &lt; b</p>\n"


def stacked(rows: int, shared: bool) -> str:
    drawing, axes = figure(rows, 1, height=2.4 * rows, sharex=shared, squeeze=False)
    for number, axis in enumerate(axes.flat):
        axis.plot([0, 1], [0, number + 1])
        axis.set_title(f"plot {number}")
    axes[-1, 0].set_xlabel("the ratio")
    return figure_html(drawing, "Plots.", "Plots, one below the other.")


@pytest.mark.parametrize("shared", [False, True])
def test_a_figure_too_tall_for_a_slide_becomes_a_slide_for_each_plot(tmp_path, browser, shared):
    assert len(apart(FIGURE)) == 1 == len(apart(stacked(1, shared)))
    html = slides_html(TWO, {"page": executed(html=stacked(3, shared))})
    assert html.count('<section class="slide') == 2 + 3 and "5 / 5" in html
    (tmp_path / "deck.html").write_text(html)
    tab = browser.new_page(viewport={"width": 1280, "height": 720})
    for number in range(3):
        tab.goto(f"{(tmp_path / 'deck.html').as_uri()}#{number + 3}")
        tab.reload()
        seen = tab.evaluate(SEEN)
        assert [text for text in seen if text.startswith("plot")] == [f"plot {number}"]
        assert ("the ratio" in seen) == (shared or number == 2)
    ids = tab.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    tab.close()
    assert len(ids) == len(set(ids))


# The words of a slide's drawing that are not cut away.
SEEN = """() => [...document.querySelectorAll(".slide:not([hidden]) svg svg text")].filter((text) => {
  const band = text.ownerSVGElement, box = text.getBoundingClientRect();
  const { d, f } = band.ownerSVGElement.getScreenCTM();
  const [top, high] = [f + d * band.y.baseVal.value, d * band.height.baseVal.value];
  return box.top >= top - 1 && box.bottom <= top + high + 1;
}).map((text) => text.textContent.trim())"""


def test_what_cannot_be_read_is_found(tmp_path, browser):
    """The check that the book's own slides are put to, in tests/book."""
    slides = (
        Slide("Fine", "Text."),
        Slide("Small", '<p style="font-size: 15px">tiny</p>'),
        Slide("Long", "\n\n".join(["line"] * 40)),
        Slide("Cut", '<div style="overflow: hidden; height: 1em">one<br>two</div>'),
    )
    (tmp_path / "deck.html").write_text(slides_html(Lecture("lecture-1", "L", "About.", 5, slides), {}))
    (tmp_path / "mathjax.js").write_text("window.MathJax = { startup: { promise: Promise.resolve() } };")
    found = unreadable(browser, tmp_path / "deck.html")
    assert [name.split(" ", 1)[1] for name in found] == ["Small", "Long", "Cut"]
    assert (
        "15.0 px" in found["3 Small"][0] and "beyond the slide" in found["4 Long"][-1] and "cut by" in found["5 Cut"][0]
    )


@pytest.fixture
def deck(tmp_path, monkeypatch):
    from maebook.teaching import slides

    monkeypatch.setattr(slides, "lectures", lambda: [TWO])
    monkeypatch.setattr(slides, "lecture_notebooks", lambda: ["page"])
    with pytest.raises(GuideError, match=r"page\.ipynb does not exist"):
        write_slides(tmp_path / "slides", tmp_path)
    nbformat.write(executed(), tmp_path / "page.ipynb")
    index, page = write_slides(tmp_path / "slides", tmp_path)
    before = page.read_bytes()
    assert write_slides(tmp_path / "slides", tmp_path) == [index, page] and page.read_bytes() == before
    assert "lecture-1.html" in index.read_text()
    return page


def test_in_a_browser_keys_buttons_and_paper_and_nothing_is_fetched(deck, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    tab = context.new_page()
    outside, errors = [], []
    tab.on("request", lambda request: outside.append(request.url) if request.url.startswith("http") else None)
    tab.on("requestfailed", lambda request: errors.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(deck.as_uri())
    tab.wait_for_selector("mjx-container", state="attached")

    def now() -> str:
        assert tab.locator(".slide:visible").count() == 1
        return tab.locator(".slide:visible h2").inner_text()

    assert now() == "A & B"
    for key, title in (
        ("ArrowRight", "One"),
        ("Space", "Two"),
        ("PageDown", "Two"),
        ("Home", "A & B"),
        ("End", "Two"),
    ):
        tab.keyboard.press(key)
        assert now() == title
    assert tab.url.endswith("#3") and not tab.locator(".notes:visible").count()
    tab.keyboard.press("n")
    assert tab.locator(".notes:visible").inner_text() == "Say."
    tab.click("button[data-go=back]")
    assert now() == "One"
    tab.goto(deck.as_uri() + "#3")
    tab.reload()
    assert now() == "Two"
    tab.emulate_media(media="print")
    assert tab.locator(".slide:visible").count() == 3
    assert tab.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 3
    bare = browser.new_context(java_script_enabled=False)
    plain = bare.new_page()
    plain.goto(deck.as_uri())
    assert plain.locator(".slide:visible").count() == 3 and not plain.locator("nav:visible").count()
    context.close()
    bare.close()
    assert not outside and not errors


def test_the_presenters_view_from_disk(deck, browser):
    """It and the slides follow each other, a reload included; it shows the next slide and the notes."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    outside, errors = [], []
    context.on("request", lambda request: outside.append(request.url) if request.url.startswith("http") else None)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    tab = context.new_page()
    tab.goto(deck.as_uri())
    with context.expect_page() as opened:
        tab.keyboard.press("s")
    view = opened.value

    def shown(place: str, title: str, following: str | None, notes: str) -> None:
        view.wait_for_function("place => document.querySelector('[data-part=place]').textContent === place", arg=place)
        now, after = (view.frame_locator(f"iframe[title='{name} slide']") for name in ("This", "The next"))
        now.get_by_role("heading", name=title, exact=True).wait_for()
        if following:
            after.get_by_role("heading", name=following, exact=True).wait_for()
        else:
            view.locator("iframe[title='The next slide']").wait_for(state="hidden")
        tab.get_by_role("heading", name=title, exact=True).wait_for()
        assert tab.locator(".slide:visible").count() == 1
        assert view.locator("[data-part=notes]").inner_text().strip() == notes

    shown("1 of 3", "A & B", "One", "About 5 minutes.")
    view.keyboard.press("ArrowRight")
    shown("2 of 3", "One", "Two", "No notes.")
    tab.keyboard.press("End")
    shown("3 of 3", "Two", None, "Say.")
    tab.reload()
    view.keyboard.press("ArrowLeft")
    shown("2 of 3", "One", "Two", "No notes.")
    assert not view.locator("[data-part=status]").inner_text()
    context.close()
    assert not outside and not errors


def test_the_presenters_clock_and_a_view_without_slides(deck, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    view = context.new_page()
    view.clock.install(time=0)
    view.goto(f"{deck.as_uri()}?presenter")
    view.clock.pause_at(3600)
    clock, start = view.get_by_role("timer"), view.locator("[data-part=start]")
    assert clock.inner_text() == "05:00"
    view.clock.run_for(5_000)
    assert clock.inner_text() == "05:00", "it has not begun"
    assert "press S there" in view.locator("[data-part=status]").inner_text()
    view.get_by_label("Minutes of the lecture").fill("1")
    assert clock.inner_text() == "01:00"
    start.click()
    view.clock.run_for(20_000)
    assert clock.inner_text() == "00:40"
    start.click()
    view.clock.run_for(20_000)
    assert clock.inner_text() == "00:40", "it is paused"
    start.click()
    view.clock.run_for(50_000)
    assert clock.inner_text() == "-00:10" and "over" in clock.get_attribute("class")
    view.locator("[data-part=reset]").click()
    assert clock.inner_text() == "01:00"
    view.keyboard.press("ArrowRight")
    assert view.locator("[data-part=place]").inner_text() == "2 of 3"
    slides = context.new_page()
    slides.goto(deck.as_uri())
    slides.evaluate("window.open = () => null")
    slides.keyboard.press("s")
    assert "allow this page to open windows" in slides.get_by_role("status").inner_text()
    context.close()
