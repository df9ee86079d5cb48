"""The front page: its hero in a browser against the library, its sentences against what they count."""

import re
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from fakes import fake_detection, fake_page

from mae_lib.claims.claims import Verdict, load_claims
from mae_lib.theory.grammars import code_grammar
from mae_lib.theory.information import expected_bits, mask_bits
from mae_lib.theory.mask_levels import IndependentUnits, expected_sinks
from maebook.sphinx import discoveries, front, hero
from maebook.strongest import results

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"


@pytest.fixture
def nothing_published(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    results.cache_clear()
    yield
    results.cache_clear()


def whole(body: str) -> str:
    """A page with the book's own style and script, and nothing else."""
    sheet, script = ((STATIC / f"{name}").read_text() for name in ("front.css", "hero.js"))
    style = f'<meta charset="utf-8"><style>body {{ margin: 16px }} {sheet}</style>'
    return f'<!doctype html>{style}<article class="bd-article">{body}</article><script>{script}</script>'


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("hero") / "page.html"
    path.write_text(whole(hero.hero()))
    return path.as_uri()


@pytest.fixture(scope="module")
def tab(browser, page):
    context = browser.new_context(viewport={"width": 375, "height": 800})
    opened = context.new_page()
    opened.goto(page)
    yield opened
    context.close()


# The hero

# What the hero shows, and the same for every unit and ratio, in two orders, as they are and flipped.
SHOWN = """() => {
    const hero = document.querySelector("mae-hero");
    const nodes = [...hero.querySelectorAll(".mae-hero-tree :is(.latent, .leaf)")];
    nodes.sort((a, b) => a.dataset.node - b.dataset.node);
    const squares = [...hero.querySelectorAll(".mae-hero-image rect")].sort((a, b) => a.dataset.node - b.dataset.node);
    const said = (name) => hero.querySelector(`[data-said=${name}]`).textContent;
    return {
        unit: hero.querySelector("[name=unit]").getAttribute("aria-valuetext").split(" ")[0],
        percent: Number(hero.querySelector("[name=ratio]").value),
        states: nodes.map((one) => one.dataset.state), squares: squares.map((one) => one.dataset.state),
        c: said("c"), A: said("A"), hidden: said("hidden"),
        bits: [...hero.querySelectorAll("[data-bits]")].map((one) => one.textContent),
    };
}"""
EVERYTHING = f"""() => {{
    const shown = {SHOWN}, hero = document.querySelector("mae-hero"), all = [];
    const control = (name) => hero.querySelector(`[name=${{name}}]`);
    const move = (name, value) => {{ control(name).value = value; control(name).dispatchEvent(new Event("input")); }};
    for (const turn of [0, 1]) {{
        for (const flipped of [false, true]) {{
            for (let unit = 0; unit < 3; unit += 1)
                for (let percent = 5; percent <= 95; percent += 5) {{
                    move("unit", unit);
                    move("ratio", percent);
                    all.push({{turn, flipped, ...shown()}});
                }}
            control("flip").click();
        }}
        control("another").click();
    }}
    return all;
}}"""


def test_algorithm_1_in_the_page_is_the_librarys_for_every_mask_that_it_shows(browser, page):
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(page)
    shown = opened.evaluate(EVERYTHING)
    context.close()
    assert len(shown) == 4 * 3 * 19
    for one in shown:
        order = hero.orders()[one["unit"]][one["turn"]][:: -1 if one["flipped"] else 1]
        hidden = hero.mask(one["unit"], one["percent"], order)
        found = hero.states(hero.located(hidden))
        assert one["states"] == one["squares"] == found
        assert (one["c"], one["A"]) == (hero.told(found, "c"), hero.told(found, "c", "split"))
        assert one["hidden"] == hero.counted(hidden)
        exact = hero.bits()[one["unit"]][hero.PERCENT.index(one["percent"])]
        assert [float(text.removesuffix(" bits")) for text in one["bits"]] == pytest.approx(exact, abs=0.0501)


def test_a_flip_hides_what_was_visible_and_keeps_c_but_not_the_bits(tab):
    before = tab.evaluate(SHOWN)
    tab.get_by_role("button", name="flip").click()
    after = tab.evaluate(SHOWN)
    tab.get_by_role("button", name="flip").click()
    other = {"s_m": "s_mc", "s_mc": "s_m"}
    assert after["states"] == [other.get(state, state) for state in before["states"]]
    assert (after["c"], after["percent"]) == (before["c"], 100 - before["percent"]) and after["bits"] != before["bits"]
    assert tab.evaluate(SHOWN) == before


def test_the_sliders_are_worked_by_keys_and_say_what_they_are_at(tab):
    ratio, before = tab.get_by_role("slider", name="ratio"), tab.evaluate(SHOWN)
    ratio.focus()
    tab.keyboard.press("ArrowRight")
    after = tab.evaluate(SHOWN)
    assert after["percent"] == before["percent"] + 5 and after["hidden"] != before["hidden"]
    assert ratio.get_attribute("aria-valuetext") == f"{after['percent'] / 100:.2f}"
    assert tab.locator("[role=status][aria-live=polite]").inner_text().startswith(after["hidden"])
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375


def test_without_scripts_the_first_mask_stands(browser, page, tab):
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(page)
    assert plain.locator(".mae-hero-tree").is_visible() and not plain.get_by_role("slider").count()
    still, live = (BeautifulSoup(text, "html.parser") for text in (plain.content(), hero.hero()))
    context.close()
    assert [one["data-state"] for one in still.select("[data-node]")] == [
        one["data-state"] for one in live.select("[data-node]")
    ]
    fresh = tab.context.browser.new_page()
    fresh.goto(page)
    shown = fresh.evaluate(SHOWN)  # and the script begins with the same
    fresh.close()
    assert shown["c"] == still.select_one("[data-said=c]").text
    assert shown["bits"] == [one.text for one in still.select("[data-bits]")]


def test_nothing_moves_for_those_who_asked_for_it(browser, page):
    context = browser.new_context(reduced_motion="reduce")
    still = context.new_page()
    still.goto(page)
    times = still.eval_on_selector_all("mae-hero *", "all => all.map(e => getComputedStyle(e).transitionDuration)")
    context.close()
    assert set(times) == {"0s"}


def test_the_hero_is_the_same_bytes_loads_nothing_and_has_no_blank_line():
    html = hero.hero()
    assert html == hero.hero() and "\n" not in html and not re.search(r"https?://", html)
    assert all(drawing["aria-label"] for drawing in BeautifulSoup(html, "html.parser").select("figure svg"))


def test_bits_of_whole_parts_are_the_mean_over_all_masks_of_their_number():
    tree = code_grammar(copies=4)
    for percent, exact in zip(hero.PERCENT, hero.bits()["part"]):
        count = hero.hidden_units("part", percent)
        masks = [np.isin(np.arange(64) // 16, chosen) for chosen in combinations(range(4), count)]
        assert mask_bits(tree, np.array(masks)).by_level.mean(0)[::-1] == pytest.approx(exact, abs=0.006)


def test_a_mirrored_ratio_hides_what_the_ratio_shows():
    for unit in hero.UNITS:
        for percent in hero.PERCENT:
            assert hero.hidden_units(unit, percent) + hero.hidden_units(unit, 100 - percent) == hero.units(unit)


# The discoveries


@pytest.fixture(scope="module")
def counted() -> dict[str, discoveries.Discovery]:
    makers = (
        discoveries.inverted_u,
        discoveries.mirror,
        discoveries.unit_sets_the_level,
        discoveries.missing_word,
        discoveries.rise_called_a_drop,
        discoveries.tree_from_masks,
    )
    return {make.__name__: make() for make in makers}


def test_what_the_theory_says_is_so(counted):
    """The words that are not filled in hold, and the numbers are those of another way to the same."""
    says = {name: one.says for name, one in counted.items()}
    for r in (0.1, 0.3):
        sinks, mirrored = (expected_sinks((4, 4), IndependentUnits(ratio)) for ratio in (r, 1 - r))
        assert sinks == pytest.approx(mirrored)
    at = expected_bits(code_grammar(), [IndependentUnits(0.75), IndependentUnits(0.25)]).by_level[:, -1]
    assert f"hidden corners differs: {at[0]:.2f} bits at ratio 0.75, {at[1]:.2f} bits at 0.25" in says["mirror"]
    assert "67% and 54%" in says["mirror"]
    assert "higher levels at higher ratios" in says["inverted_u"]
    assert "adds 1.0" in says["unit_sets_the_level"] and "at most 0.01" in says["unit_sets_the_level"]
    assert "loss 0 also encodes the sign of s" in says["missing_word"] and "100% of draws" in says["missing_word"]
    assert "alone reveal the tree" in says["tree_from_masks"] and "all 5 latents" in says["tree_from_masks"]
    assert f"{16 + 16 * 15 // 2} of {2**16:,} masks" in says["tree_from_masks"]


def test_a_drop_would_be_called_one(monkeypatch):
    falling = pd.DataFrame({"unit": [8, 16, 32], "metric": "IN1K", "value": [62.0, 69.0, 60.5]})
    monkeypatch.setattr(discoveries, "paper_table", lambda name, series: falling)
    assert "is a fall in its own Table 1, from 69% at 16 px to 60.5%" in discoveries.rise_called_a_drop().says


def test_trained_encoders_are_left_out_where_nothing_is_published(nothing_published):
    assert discoveries.trained() == []


def test_trained_encoders_are_told_with_seeds_and_verdicts(only_tiny):
    results.cache_clear()
    (one,) = discoveries.trained()
    results.cache_clear()
    images = yaml.safe_load((only_tiny / "preset.yaml").read_text())["scale"]["images"]
    assert one.says.startswith(f"Trained on figurines ({images:,} images, 2 seeds), encoders probe best at 0.")
    assert re.search(r"up to 0.75: (supported|contradicted|mixed|undecided|not run)", one.says)


def test_a_detector_is_told_with_what_it_gains(only_tiny, tmp_path, monkeypatch):
    results.cache_clear()
    assert discoveries.transferred() == []
    folder = Path(shutil.copytree(only_tiny, tmp_path / "published" / "tiny"))
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(folder.parent))
    fake_detection(folder, yaml.safe_load((folder / "preset.yaml").read_text())["scale"])
    path = folder / "detection.csv"
    table = pd.read_csv(path)
    table.loc[(table["ratio"] == 0.9) & (table["metric"] == "AP box"), "value"] = 34.0
    table.to_csv(path, index=False)
    (one,) = discoveries.transferred()
    results.cache_clear()
    assert "(2 seeds) gain most from ratio 0.9: +4.0 box AP over fresh weights (dotted)." in one.says
    assert "30.0 at 0.5, 30.0 at 0.75, 34.0 at 0.9; from fresh weights 30.0" in one.alt
    assert one.claim == "three-quarters-transfers-best" and "best start: contradicted" in one.says


def test_discoveries_are_legible_on_a_phone_and_link_to_what_is_there(nothing_published, browser, tmp_path):
    pages = {name: fake_page(name) for name in ("2_3_mask_levels", "inconsistencies")}
    html = front.found(pages)
    soup = BeautifulSoup(html, "html.parser")
    assert "\n" not in html and len(soup.select(".mae-discovery svg[aria-label]")) == 6
    links = {link["href"] for link in soup.select(".mae-discovery a.reference")}
    assert links == {"experiments/2_3_mask_levels.html", "experiments/inconsistencies.html"}
    (tmp_path / "page.html").write_text(whole(html))
    context = browser.new_context(viewport={"width": 375, "height": 800})
    opened = context.new_page()
    opened.goto((tmp_path / "page.html").as_uri())
    heights = opened.eval_on_selector_all(
        ".mae-discovery svg text",
        """all => all.map((e) => {
            const {a, b} = e.getScreenCTM();  // turned, where it names an axis
            return parseFloat(getComputedStyle(e).fontSize) * Math.hypot(a, b);
        })""",
    )
    width = opened.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert min(heights) >= 9 and width <= 375


# The counts


def test_the_counts_are_of_the_papers_claims_in_section_3(nothing_published):
    claim = load_claims()["extreme-ratio-hurts-probe"]
    page = fake_page(claim.notebook, [Verdict(claim.id, "supported", "", seeds=2)])
    soup = BeautifulSoup(front.counts({claim.notebook: page}), "html.parser")
    numbers = {item.span.text.split(" ", 1)[1]: int(item.b.text) for item in soup.select("li")}
    wanted = [one for one in load_claims().values() if one.section[0] == "3" and not one.ours]
    assert numbers["supported"] == 1 and numbers["not run"] == len(wanted) - 1 and sum(numbers.values()) == len(wanted)
    assert "(2 seeds)" in soup.p.text and soup.a["href"] == "experiments/ledger.html"


@pytest.mark.parametrize("preset", ["smoke", "laptop"])
def test_the_counts_say_at_which_preset_this_build_is(preset, nothing_published):
    shown = front.counts({"a": fake_page("a", run={"parameters": {"preset": preset}})})
    assert f"<em>{preset}</em>" in shown and ("far too little" in shown) == (preset == "smoke")
