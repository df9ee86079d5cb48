"""Two schedules side by side: what is drawn and what is said follow the numbers."""

import pandas as pd
import pytest

from mae_lib.reporting import schedules as module
from mae_lib.reporting.schedules import best_ratio, schedule_findings, schedules, show_schedules


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """What a page would show: captions with their alternative texts, and sentences."""
    found: list[str] = []
    monkeypatch.setattr(module, "show", lambda drawing, caption, alt: found.append(f"{caption} | {alt}"))
    monkeypatch.setattr(module, "say", found.append)
    return found


def test_without_two_schedules_a_sentence_says_so(tmp_path, monkeypatch, shown):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    show_schedules({"class probe": "class"})
    assert len(shown) == 1 and "not tested yet" in shown[0]


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
