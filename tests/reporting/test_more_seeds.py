"""Published curves side by side: what is drawn, what is said of schedules, and nothing typed."""

import re
import shutil
from html import escape

import numpy as np
import pandas as pd
import pytest
import yaml

from mae_lib.reporting import more_seeds as module
from mae_lib.reporting.ledger import ICONS, load_claims, paper_table
from mae_lib.reporting.more_seeds import (
    HERE,
    PAPER,
    best_ratio,
    curves,
    lines_of,
    more_seeds,
    of_scales,
    schedule_findings,
    schedules,
    seeds_against_masks,
    show_schedules,
    verdicts_html,
)
from mae_lib.reporting.plots import figure_html
from mae_lib.reporting.published import Published, published


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """What a page would show, as HTML."""
    found: list[str] = []
    monkeypatch.setattr(module, "display", lambda html: found.append(html.data))
    monkeypatch.setattr(module, "show", lambda drawing, caption, alt: found.append(f"{caption} | {alt}"))
    return found


@pytest.fixture
def longer(only_tiny, tmp_path, monkeypatch):
    """Two published folders: `tiny`, and `long` of twice the images, two ratios, and values higher by ratio / 10."""
    shutil.copytree(only_tiny, tmp_path / "tiny")
    shutil.copytree(only_tiny, tmp_path / "long")
    preset = yaml.safe_load((tmp_path / "long" / "preset.yaml").read_text())
    preset["scale"]["images"] *= 2
    preset["mask_ratios"] = [0.75, 0.9]
    (tmp_path / "long" / "preset.yaml").write_text(yaml.safe_dump(preset))
    table = pd.read_csv(tmp_path / "long" / "scores.csv")
    table.loc[table["reader"] == "trained", "value"] += table["ratio"] / 10
    table.to_csv(tmp_path / "long" / "scores.csv", index=False)
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    return published()


def test_scales_stand_side_by_side_the_smaller_first(longer):
    assert [one.name for one in longer] == ["tiny", "long"]
    table = of_scales(longer, "separability", "IN1K", "ratio")
    assert table.groupby("scale", sort=False).size().to_dict() == {"tiny, 0.032k images": 6, "long, 0.064k images": 4}
    metrics = {"IN1K": "clean", "IN-S": "sketch"}
    here = pd.DataFrame(
        [{"ratio": r, "seed": 0, "metric": "IN1K", "image": i, "value": r} for r in (0.1, 0.9) for i in "ab"]
    )
    tables = {
        x: lines_of(longer, "separability", metrics, x, here if x == "ratio" else None) for x in ("ratio", "unit")
    }
    assert set(tables["ratio"]["key"]) == {"tiny", "long", PAPER, HERE} and HERE not in set(tables["unit"]["key"])
    printed = tables["ratio"].query("key == @PAPER and metric == 'IN1K'").set_index("ratio")["value"]
    assert (
        printed[0.75]
        == paper_table("table_1", "ratio").query("metric == 'IN1K' and ratio == 0.75")["value"].item() / 100
    )
    drawing = curves(tables, metrics)
    assert len(drawing.axes) == 4
    assert {text.get_text() for text in drawing.legends[0].get_texts()} == {
        "tiny, 0.032k images",
        "long, 0.064k images",
        PAPER,
        HERE,
    }
    html = figure_html(drawing, "Curves.", "Lines.")
    assert set(re.findall(r'data-mae-scale="([^"]+)"', html)) == {"tiny", "long", PAPER, HERE}


def test_a_page_shows_its_figures_and_its_claims_verdicts(longer, shown):
    more_seeds("3_1_reconstruction", {"SSIM": "structure"}, {"PSNR": "pixels"})
    assert len(shown) == 3
    assert "tiny, 32 images a run, 2 seeds; long, 64 images a run, 2 seeds" in shown[0]
    claims = [claim for claim in load_claims().values() if claim.notebook == "3_1_reconstruction"]
    assert shown[2].count("<tr>") == 1 + len(claims)
    assert '<th scope="col">tiny</th><th scope="col">long</th>' in shown[2]


def test_verdicts_are_words_with_their_reason(only_tiny):
    one = Published.open(only_tiny)
    claims = [claim for claim in load_claims().values() if claim.notebook == "3_3_separability"]
    # Which they are depends on two tiny runs; no test may.
    verdicts = [one.verdicts()[claim.id] for claim in claims]
    html = verdicts_html("3_3_separability", [one])
    for verdict in verdicts:
        assert f'{ICONS[verdict.verdict]}<span class="mae-word"> {verdict.verdict}</span>' in html
        assert f'title="{escape(verdict.why)}"' in html
    assert html.count("mae-word") == len(claims) and "not run" in {verdict.verdict for verdict in verdicts}


def test_what_a_seed_decides_is_held_against_the_ratios(only_tiny):
    one = Published.open(only_tiny)
    table = seeds_against_masks(one, "reconstruction", ["SSIM", "PSNR"])
    assert table.columns.tolist() == ["seed 0", "seed 1", "between seeds", "between ratios"]
    scores = one.scores("reconstruction")
    two = [scores[0.75, 8, seed]["SSIM"] for seed in (0, 1)]
    assert table.loc["SSIM", ["seed 0", "seed 1"]].tolist() == two
    assert table.loc["SSIM", "between seeds"] == pytest.approx(np.std(two, ddof=1))
    means = [np.mean([scores[r, 8, s]["SSIM"] for s in (0, 1)]) for r in (0.5, 0.75, 0.9)]
    assert table.loc["SSIM", "between ratios"] == pytest.approx(np.std(means, ddof=1))


def test_without_published_results_a_sentence_says_so(tmp_path, monkeypatch, shown):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    more_seeds("3_1_reconstruction", {"SSIM": "structure"})
    more_seeds("3_5_transfer", {"AP box": "box AP"})
    show_schedules({"class probe": "class"})
    assert len(shown) == 3 and all("No longer runs of this section are published yet" in one for one in shown[:2])
    assert "mae_lib series<" in shown[0] and "mae_lib detect<" in shown[1] and "not tested yet" in shown[2]


def test_schedules_are_two_scales_that_differ_in_their_images_alone(longer, shown):
    short, long = schedules(longer)
    assert (short.name, long.name) == ("tiny", "long")
    assert schedules([short]) is None and schedules([long, long]) is None
    show_schedules({"class probe": "class", "parts probe": "parts"})
    assert "from 32 to 64 images a run" in shown[0] and "2 seeds of long and tiny" in shown[0]
    assert "Of 0.75, 0.9, the best ratio is" in shown[1] and "Ratio 0.9 gains +0.090 (+0.090 to +0.090)." in shown[1]


def tables(before: dict[float, float], gains: dict[float, list[float]]) -> tuple[pd.DataFrame, ...]:
    """Two schedules and their difference, for as many seeds as there are gains."""
    cells = [(r, s, before[r], g) for r, each in gains.items() for s, g in enumerate(each)]
    short = pd.DataFrame([(r, s, v) for r, s, v, _ in cells], columns=["ratio", "seed", "value"])
    gained = pd.DataFrame([(r, s, g) for r, s, _, g in cells], columns=["ratio", "seed", "value"])
    return short, short.assign(value=short["value"] + gained["value"]), gained


@pytest.mark.parametrize(
    ("high", "said"),
    [
        ([0.30, 0.31, 0.32], "gains more, so the short schedule explains a part of its place"),
        ([0.05, 0.06, 0.04], "gains less, so the short schedule does not explain its place"),
        ([0.00, 0.10, 0.35], "gains neither clearly more nor clearly less"),
        ([0.30], "gains neither clearly more nor clearly less"),
    ],
)
def test_the_sentence_follows_the_numbers(high, said):
    given = tables({0.5: 0.6, 0.75: 0.4}, {0.5: [0.1, 0.11, 0.09][: len(high)], 0.75: high})
    sentences = " ".join(schedule_findings(*given))
    assert f"Beside ratio 0.5, ratio 0.75 {said}" in sentences
    assert f"is 0.5 after the shorter schedule, {best_ratio(given[1]):g} after the longer" in sentences


def test_only_ratios_that_both_schedules_have_are_compared():
    short, long, gains = tables({0.5: 0.6, 0.75: 0.4}, {0.5: [0.1, 0.1], 0.75: [0.3, 0.3]})
    alone = pd.DataFrame({"ratio": [0.25, 0.25], "seed": [0, 1], "value": [0.9, 0.9]})
    sentences = schedule_findings(pd.concat([short, alone]), long, gains)
    assert sentences == schedule_findings(short, long, gains)
    fewer = [table[table["ratio"] == 0.5] for table in (short, long, gains)]
    assert len(schedule_findings(*fewer)) == 2


def test_a_best_that_is_the_papers_has_nothing_to_catch_up_with():
    given = tables({0.5: 0.4, 0.75: 0.6}, {0.5: [0.1, 0.1], 0.75: [0.1, 0.1]})
    assert "Ratio 0.75 leads before" in " ".join(schedule_findings(*given))
