"""Linked masks: a page's buttons, points and table rows name the same masks."""

import re

import pytest

from maebook import linked
from maebook.figures import figure_html
from maebook.linked import show_masks
from maebook.rank_table import rank_table
from maebook.study import open_study, panels

NAME = r'data-mae-mask="([^"]+)"'


@pytest.fixture
def study(only_tiny):
    return open_study("separability", only_tiny, [], [], [])


def test_buttons_points_and_rows_have_the_same_masks(study, monkeypatch):
    shown = []
    monkeypatch.setattr(linked, "display", lambda html: shown.append(html.data))
    show_masks(study)
    masks = {"ratio 0.5", "ratio 0.75", "ratio 0.9", "unit 8"}
    assert set(re.findall(r'\[data-mae-mask="([^"]+)"\]', shown[0])) == masks
    assert shown[0].count("<input") == len(masks) + 1  # and one for none
    figure = figure_html(panels(study, {"IN1K": "probe"}), "Probe.", "A line.")
    assert re.findall(NAME, figure) == ["ratio 0.5", "ratio 0.75", "ratio 0.9", "unit 8"]
    assert set(re.findall(NAME, rank_table(study, ["IN1K"]))) == masks


def test_the_mask_of_both_series_is_linked_as_one(study, monkeypatch):
    shown = []
    monkeypatch.setattr(linked, "display", lambda html: shown.append(html.data))
    show_masks(study)
    rules = re.findall(r"body:has\(#mae-mask-\d+:checked.*?--mae-linked:1}", shown[0])
    both = [rule for rule in rules if "ratio 0.75" in rule]
    assert len(rules) == 4 and len(both) == 2 and all("unit 8" in rule for rule in both)
    assert len({rule[rule.index(") :is") :] for rule in both}) == 1


def test_a_table_has_ranks_and_no_agreement_where_the_paper_has_other_masks(study):
    html = rank_table(study, ["IN1K", "IN-S"])
    ratios = [row for row in re.findall(r"<tr.*?</tr>", html) if "ratio 0" in row]
    assert sorted(re.findall(r"<small>\((\S+)\)</small>", "".join(ratios))) == sorted(
        str(rank) for column in (1, 2) for rank in _ranks(study, ("IN1K", "IN-S")[column - 1])
    )
    assert "·" not in html  # three ratios here, five in the paper


def _ranks(study, metric: str) -> list[str]:
    return [f"{rank:g}" for rank in study.means("ratio", metric).rank(ascending=False)]
