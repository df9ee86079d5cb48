"""Two schedules side by side: what is drawn and what is said follow the numbers."""

import pandas as pd
import pytest
import yaml

from mae_lib.studies.results import published
from maebook import schedules as module
from maebook.schedules import schedule_findings, schedule_gains, schedules, show_schedules


@pytest.fixture
def shown(monkeypatch) -> list:
    """What a page would show: figures, each before its caption with its alternative text, and sentences."""
    found: list = []
    monkeypatch.setattr(module, "show", lambda drawing, caption, alt: found.extend([drawing, f"{caption} | {alt}"]))
    monkeypatch.setattr(module, "say", found.append)
    return found


def rewrite(folder, ratios: list[float], units: dict[int, float]) -> None:
    """Let a published folder hold these ratios, and units that are made of unit 8 with so much added."""
    preset = yaml.safe_load((folder / "preset.yaml").read_text())
    (folder / "preset.yaml").write_text(yaml.safe_dump(preset | {"mask_ratios": ratios, "units": [8, *units]}))
    table = pd.read_csv(folder / "scores.csv")
    eight = table[(table["reader"] == "trained") & (table["ratio"] == 0.75)]
    others = [eight.assign(unit=unit, value=eight["value"] + more) for unit, more in units.items()]
    pd.concat([table, *others]).to_csv(folder / "scores.csv", index=False)
    ran = pd.read_csv(folder / "training.csv")
    more = [ran[ran["ratio"] == 0.75].assign(unit=unit) for unit in units]
    pd.concat([ran, *more]).to_csv(folder / "training.csv", index=False)


def test_without_two_schedules_of_several_masks_a_sentence_says_so(longer, tmp_path, monkeypatch, shown):
    table = pd.read_csv(tmp_path / "long" / "scores.csv")
    table[table["section"] != "attention"].to_csv(tmp_path / "long" / "scores.csv", index=False)
    show_schedules({"class token on the object": "class token"}, "attention")
    rewrite(tmp_path / "long", [0.75], {})
    show_schedules({"class probe": "class"})
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path / "nowhere"))
    show_schedules({"class probe": "class"})
    assert len(shown) == 3 and all("not tested yet" in sentence for sentence in shown)


def test_schedules_are_two_scales_that_differ_in_their_images_alone(longer):
    short, long = schedules(longer)
    assert (short.name, long.name) == ("tiny", "long")
    assert schedules([short]) is None and schedules([long, long]) is None


def test_a_series_of_one_mask_is_left_out(longer, tmp_path, shown):
    metrics = {"class probe": "class", "parts probe": "parts"}
    show_schedules(metrics)
    drawing, caption, by_ratio = shown
    assert [axis.get_xlabel() for axis in drawing.axes] == ["masking ratio"]
    assert "from 32 to 64 images a run" in caption and "2 seeds of long and tiny" in caption
    assert "by mask ratio, seed by seed" in caption
    assert by_ratio.startswith(
        "<strong>Class, by mask ratio.</strong> From the highest mean down, the mask ratios are "
    )
    assert "Ratio 0.9 gains +0.090 (+0.090 to +0.090)." in by_ratio
    rewrite(tmp_path / "long", [0.75], {4: 0.1})
    rewrite(tmp_path / "tiny", [0.5, 0.75, 0.9], {4: 0.3, 16: -0.3})
    shown.clear()
    show_schedules(metrics)
    drawing, caption, by_unit = shown
    assert [axis.get_xlabel() for axis in drawing.axes] == ["mask unit (px)"] and "by mask unit" in caption
    assert "the mask units are 4, 8 after both schedules." in by_unit  # 16 is in one alone


def test_both_series_stand_side_by_side(longer, tmp_path, shown):
    rewrite(tmp_path / "tiny", [0.5, 0.75, 0.9], {4: 0.3, 16: -0.3})
    rewrite(tmp_path / "long", [0.5, 0.75, 0.9], {4: -0.1, 16: -0.2})
    gains = schedule_gains(*schedules(published()), "attention", "class token on the object", "unit")
    assert gains.groupby("unit")["value"].agg(list).map(lambda each: [round(value, 6) for value in each]).to_dict() == {
        4: [0.075 - 0.4] * 2,  # the schedule adds a tenth of the ratio
        8: [0.075] * 2,
        16: [0.075 + 0.1] * 2,
    }
    show_schedules({"class token on the object": "class token"}, "attention")
    drawing, caption, by_ratio, by_unit = shown
    assert [axis.get_xlabel() for axis in drawing.axes] == ["masking ratio", "mask unit (px)"]
    assert "by mask ratio and mask unit, seed by seed" in caption and "Class token, by mask ratio." in by_ratio
    assert "the mask units are 4, 8, 16 after the shorter schedule, and 8, 4, 16 after the longer one." in by_unit
    assert "Unit 8 px is behind unit 4 px by +0.300 (+0.300 to +0.300)" in by_unit
    assert "it gains more and then leads" in by_unit and "the difference is +0.400 (" in by_unit


def tables(x: str, before: dict[float, float], gains: dict[float, list[float]]) -> tuple[pd.DataFrame, ...]:
    """Two schedules and their difference, for as many seeds as there are gains."""
    cells = [(p, s, before[p], g) for p, each in gains.items() for s, g in enumerate(each)]
    short = pd.DataFrame([(p, s, v) for p, s, v, _ in cells], columns=[x, "seed", "value"])
    gained = pd.DataFrame([(p, s, g) for p, s, _, g in cells], columns=[x, "seed", "value"])
    return short, short.assign(value=short["value"] + gained["value"]), gained


SERIES = pytest.mark.parametrize(
    ("x", "top", "own", "theirs", "ours"),
    [("ratio", 0.5, 0.75, "ratio 0.5", "ratio 0.75"), ("unit", 4, 8, "unit 4 px", "unit 8 px")],
)


@SERIES
@pytest.mark.parametrize(
    ("gained", "said"),
    [
        ([0.40, 0.41, 0.42], "gains more and then leads, so the short schedule explains its place"),
        ([0.20, 0.21, 0.22], "gains more and stays behind, so the short schedule explains a part of its place"),
        ([0.05, 0.06, 0.04], "gains less, so the short schedule does not explain its place"),
        ([0.00, 0.10, 0.35], "gains neither clearly more nor clearly less, so the schedule is not shown to explain"),
    ],
)
def test_the_sentence_follows_the_numbers(x, top, own, theirs, ours, gained, said):
    short, long, gains = tables(x, {top: 0.6, own: 0.4}, {top: [0.1, 0.11, 0.09], own: gained})
    sentences = schedule_findings(short, long, gains, x, own)
    assert f"{ours.capitalize()} is behind {theirs} by +0.200 (" in sentences[-1]
    assert f"Beside {theirs} it {said}" in sentences[-1]
    leads = long.groupby(x)["value"].mean().idxmax() == own
    assert sentences[0].endswith(f"{own:g}, {top:g} after the longer one." if leads else "after both schedules.")
    assert len(sentences) == 4 and sentences[1].startswith(f"{theirs.capitalize()} gains +0.100 (+0.0")


@SERIES
@pytest.mark.parametrize(("lead", "said"), [([0.5, 0.01, 0.02], "by +0.177 (-0."), ([0.2], "by +0.200 (one seed)")])
def test_what_is_not_clearly_behind_cannot_be_told_to_catch_up(x, top, own, theirs, ours, lead, said):
    short, long, gains = tables(x, {top: 0.4, own: 0.4}, {top: [0.1] * len(lead), own: [0.3] * len(lead)})
    short.loc[short[x] == top, "value"] += lead
    last = schedule_findings(short, long, gains, x, own)[-1]
    assert last.startswith(f"Whether {ours} catches up cannot be told")
    assert f"not clearly behind {theirs}, {said}" in last


@SERIES
def test_only_masks_that_both_schedules_have_are_compared(x, top, own, theirs, ours):
    short, long, gains = tables(x, {top: 0.6, own: 0.4}, {top: [0.1, 0.1], own: [0.3, 0.3]})
    alone = pd.DataFrame({x: [own * 2] * 2, "seed": [0, 1], "value": [0.9, 0.9]})
    sentences = schedule_findings(pd.concat([short, alone]), long, gains, x, own)
    assert sentences == schedule_findings(short, long, gains, x, own)
    fewer = [table[table[x] == top] for table in (short, long, gains)]
    assert len(schedule_findings(*fewer, x, own)) == 2


@SERIES
def test_a_first_that_is_the_papers_has_nothing_to_catch_up_with(x, top, own, theirs, ours):
    given = tables(x, {top: 0.4, own: 0.6}, {top: [0.1, 0.1], own: [0.1, 0.1]})
    assert f"{ours.capitalize()} leads before" in schedule_findings(*given, x, own)[-1]
