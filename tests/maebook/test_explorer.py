"""The explorer's table against the library for every mask, and its page in a browser against both."""

import base64
import json
import re
from itertools import product

import networkx as nx
import numpy as np
import pytest
from bs4 import BeautifulSoup

from mae_lib.theory import LatentHierarchy, locate_shared_information
from maebook.explorer.explorer import explorer_html, node_tables

# Several parents, two components, a latent with nothing below it.
ODD = LatentHierarchy(
    nx.DiGraph({"a": ["b", "c", "idle"], "b": ["x1", "x2"], "c": ["x2", "x3"], "d": ["x4", "x5"], "idle": []}),
    observables=["x1", "x2", "x3", "x4", "x5"],
)
GRAPHS = {"figure 4": LatentHierarchy.figure_4(), "figure 2": LatentHierarchy.figure_2(), "odd": ODD}
STATES = ("s_mc", "s_m", "split", "c")


def looked_up(graph, tables, masked):
    """What a reader of the table finds for one mask: node -> state, as the page's script does it."""
    below, first, packed = tables
    bits = [x in masked for x in graph.observables]
    found = {}
    for v, pixels, start in zip(graph.nodes, below, first):
        row = start + sum(bits[pixel] << i for i, pixel in enumerate(pixels))
        found[v] = STATES[packed[row // 4] >> 2 * (row % 4) & 3] if pixels else None
    return found


def expected(graph, masked):
    shared = locate_shared_information(graph, masked)
    return {v: next((s for s in ("c", "split", "s_m", "s_mc") if v in getattr(shared, s)), None) for v in graph.nodes}


def every_mask(graph):
    for bits in product([False, True], repeat=len(graph.observables)):
        yield [x for x, bit in zip(graph.observables, bits) if bit]


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_the_table_holds_theorem_1_for_every_mask(graph):
    tables = node_tables(graph)
    for masked in every_mask(graph):
        assert looked_up(graph, tables, masked) == expected(graph, masked)


def test_a_tree_of_sixteen_pixels_fits_and_agrees_on_random_masks():
    graph = LatentHierarchy.tree((2, 2, 2, 2))
    tables = node_tables(graph)
    assert len(tables[2]) < 17_000
    for row in np.random.default_rng(0).random((60, 16)) < 0.5:
        masked = [x for x, hidden in zip(graph.observables, row) if hidden]
        assert looked_up(graph, tables, masked) == expected(graph, masked)


def test_the_same_explorer_is_the_same_bytes():
    def page():
        return explorer_html(GRAPHS["figure 4"], ["x1"], "Play.", {"one": {"x2", "x5"}}, {"px": np.arange(7)})

    assert page() == page()


def test_names_and_captions_are_escaped():
    graph = LatentHierarchy(nx.DiGraph({'<b>"z"&': ["'x'<1>", "</style>"]}))
    html = explorer_html(graph, ["'x'<1>"], "a < b & <script>", {'"><i>': ["</style>"]})
    page = BeautifulSoup(html, "html.parser")
    assert not page.find_all(["b", "i"]) and len(page.find_all("script")) == len(page.find_all("style")) == 1
    assert page.figcaption.text == "a < b & <script>"
    assert json.loads(page.find("mae-explorer")["data-model"])["names"] == list(graph.nodes)
    assert page.find("button").text == '"><i>'


def test_names_in_the_graph_have_subscripts_and_stand_apart():
    graph = LatentHierarchy.tree((2, 2, 2, 2))
    page = BeautifulSoup(explorer_html(graph, caption="Play."), "html.parser")
    texts, titles = page.select("svg text"), [title.text for title in page.select("g[data-node] > title")]
    assert titles == list(graph.nodes) and [text.text for text in texts[:2]] == ["z4,0", "z3,0"]
    wide = [(text, len(text.tspan.text) * float(text.tspan["font-size"]) + float(text["font-size"])) for text in texts]
    leaves = [(float(text["x"]), 0.58 * room) for text, room in wide if text.text[0] == "x"]
    assert all(b - a > (left + right) / 2 for (a, left), (b, right) in zip(leaves, leaves[1:]))


def test_without_a_script_the_first_mask_is_drawn_and_the_others_stand_in_a_table():
    graph = GRAPHS["figure 4"]
    page = BeautifulSoup(explorer_html(graph, ["x1"], "Play.", {"ideal": ["x1", "x2", "x3"]}), "html.parser")
    drawn = {g.title.text: g["data-state"] for g in page.select("g[data-node]")}
    assert drawn == expected(graph, ["x1"])
    assert [g.title.text for g in page.select("g.masked")] == ["x1"]
    assert [cell.text for cell in page.select("td")][:3] == ["{x1, x2, x3}", "{z1}", "{z1}"]
    assert all(part.has_attr("hidden") for part in page.select(".live")) and not page.select("[tabindex]")
    assert not re.search(r"https?://", str(page))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: explorer_html(LatentHierarchy.tree((17,)), caption="c"), "17 observables are too many"),
        (
            lambda: node_tables(LatentHierarchy(nx.DiGraph((z, x) for z in "abcde" for x in range(16)))),
            "327712 rows are too many",
        ),
        (lambda: explorer_html(GRAPHS["figure 4"], caption=" "), "caption is empty"),
        (lambda: explorer_html(GRAPHS["figure 4"], ["z1"], "c"), "'z1' is latent"),
        (lambda: explorer_html(GRAPHS["figure 4"], caption="c", presets={"p": ["x9"]}), "'x9' is not an observable"),
        (lambda: explorer_html(GRAPHS["figure 4"], caption="c", units={"u": [0, 1]}), r"units 'u' has shape \(2,\)"),
    ],
)
def test_what_cannot_be_explored_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.fixture(scope="module")
def tab(browser, tmp_path_factory):
    four, tree = GRAPHS["figure 4"], LatentHierarchy.tree((2, 2, 2, 2))
    units = {"1 pixel": np.arange(16), "4 pixels": np.arange(16) // 4}
    page = tmp_path_factory.mktemp("page") / "page.html"
    body = explorer_html(four, ["x1"], "One.", {"ideal": ["x1", "x2", "x3"]}) + explorer_html(
        tree, (), "Two.", None, units
    )
    page.write_text(f"<!doctype html><meta charset=utf-8><style>figure {{ margin: 0 }}</style>{body}")
    context = browser.new_context(viewport={"width": 375, "height": 800})
    opened = context.new_page()
    opened.goto(page.as_uri())
    yield opened
    context.close()


def in_words(node):
    """A name with its subscript, as text: "z1_0" is z and 1,0, "x_3" is x and 3."""
    return re.sub(r"(?<=\d)_", ",", node).replace("_", "")


def agrees(explorer, graph):
    """Compare what the page says and draws with the library, for the mask that the page shows."""
    checked = explorer.locator("[role=checkbox]").evaluate_all("all => all.map(x => x.ariaChecked)")
    masked = [x for x, value in zip(graph.observables, checked, strict=True) if value == "true"]
    shared = locate_shared_information(graph, masked)
    for name in STATES:
        wanted = getattr(shared, name)
        text = ", ".join(in_words(v) for v in graph.nodes if v in wanted)
        assert explorer.locator(f"[data-set={name}]").inner_text() == (f"{{{text}}}" if text else "∅")
    states = explorer.locator("[data-node]").evaluate_all("all => all.map(x => x.dataset.state)")
    assert dict(zip(graph.nodes, states, strict=True)) == expected(graph, masked)
    return set(masked)


def test_clicks_and_keys_move_the_sets_in_one_explorer_and_leave_the_other_alone(tab):
    graph, (first, second) = GRAPHS["figure 4"], tab.locator("mae-explorer").all()
    assert agrees(first, graph) == {"x1"} and not first.locator(".still").is_visible()
    first.get_by_role("checkbox", name="mask x4").click()
    assert agrees(first, graph) == {"x1", "x4"}
    for key in ("ArrowRight", "Space", "Home", "Enter", "ArrowLeft", "End", " "):
        tab.keyboard.press(key)
    assert agrees(first, graph) == {"x4", "x5", "x7"}
    first.get_by_role("button", name="ideal").click()
    assert agrees(first, graph) == {"x1", "x2", "x3"} and first.locator("[aria-pressed=true]").inner_text() == "ideal"
    first.get_by_role("button", name="swap").click()
    assert agrees(first, graph) == {"x4", "x5", "x6", "x7"}
    assert agrees(second, LatentHierarchy.tree((2, 2, 2, 2))) == set()


def test_each_pixel_is_reached_with_one_tab_stop_and_fits_on_a_phone(tab):
    stops = tab.locator("mae-explorer").first.locator("[role=checkbox][tabindex='0']")
    assert stops.count() == 1
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    boxes = (
        tab.locator("mae-explorer")
        .last.locator(".hit")
        .evaluate_all("all => all.map(x => x.getBoundingClientRect()).map(b => [b.left, b.right, b.width, b.height])")
    )
    assert len(boxes) == 16
    assert all(width >= 18 and height >= 24 and left >= 0 and right <= 375 for left, right, width, height in boxes)


def test_the_slider_masks_whole_units_one_after_the_other(tab):
    graph, explorer = LatentHierarchy.tree((2, 2, 2, 2)), tab.locator("mae-explorer").last
    slider = explorer.get_by_role("slider")
    explorer.get_by_role("combobox").select_option("4 pixels")
    seen = [agrees(explorer, graph)]
    for _ in range(4):
        slider.press("ArrowRight")
        seen.append(agrees(explorer, graph))
    assert [len(masked) for masked in seen] == [0, 4, 8, 12, 16]
    blocks = [set(graph.observables[i : i + 4]) for i in range(0, 16, 4)]
    assert all(small < large and large - small in blocks for small, large in zip(seen, seen[1:]))
    slider.fill("2")
    assert explorer.locator("output").inner_text() == "0.50"
    before = agrees(explorer, graph)
    others = []
    for _ in range(4):
        explorer.get_by_role("button", name="another draw").click()
        others.append(agrees(explorer, graph))
    assert any(masked != before for masked in others) and all(len(masked) == 8 for masked in others)


def test_the_data_in_the_page_are_the_librarys(tab):
    element = tab.locator("mae-explorer").first
    assert base64.b64decode(element.get_attribute("data-table")) == node_tables(GRAPHS["figure 4"])[2]
