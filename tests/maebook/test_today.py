"""The page on masked autoencoders today: its numbers are those of the results and of the YAML, its sources exist."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from mae_lib.training.masks import MaskSampler
from maebook.sphinx import today

BOOK = Path(__file__).parents[2] / "book"
RESULTS = BOOK.parent / "results"


def test_every_source_is_in_the_bibliography_with_an_address():
    cited = set(re.findall(r"\{cite[^}]*\}`(\w+)`", (BOOK / "mae_today.md").read_text()))
    cited |= {entry["cite"] for entry in yaml.safe_load((BOOK / "mae_today.yml").read_text())}
    entries = dict(re.findall(r"@\w+\{(\w+),(.*?)\n\}", (BOOK / "references.bib").read_text(), re.S))
    assert cited and all(re.search(r"\b(url|doi)\s*=", entries[key]) for key in cited)


def test_a_cell_holds_the_mean_its_interval_and_the_units_in_sight():
    sweep = today.Sweep("w", "s", 32, 4, 0.75, {1: [10.0, 12.0], 2: [20.0, 20.0], 4: [5.0]})
    assert sweep.best == 2
    assert [sweep.cell(k) for k in (1, 2, 4)] == ["11.0 ± 12.7 (16)", "**20.0 ± 0.0** (4)", "5.0 (1)"]


@pytest.mark.parametrize(("side", "patch", "ratio"), [(224, 8, 0.75), (256, 16, 0.75), (256, 16, 0.625)])
def test_units_in_sight_are_those_of_whole_units(side, patch, ratio):
    sweep = today.Sweep("", "", side, patch, ratio, {})
    for k in today.SIDES:
        masks = MaskSampler(side // patch, patch, patch * k, ratio, partial_unit=False)
        assert sweep.visible(k) * k**2 == masks.visible == (~masks.sample(0, 0, torch.arange(2))).sum(1)[0]


def test_our_rows_are_the_results_and_every_sweep_has_every_unit():
    found, one = list(today.sweeps(BOOK)), today.ours()
    assert all(tuple(sweep.values) == today.SIDES for sweep in found)
    scores = pd.read_csv(one.directory / "scores.csv")
    wanted = scores.query("section == 'separability' and reader == 'trained' and ratio == 0.75 and metric == 'IN1K'")
    means = 100 * wanted.groupby("unit")["value"].mean()
    probe = next(sweep for sweep in found if sweep.who.startswith("this book"))
    assert [sum(values) / len(values) for values in probe.values.values()] == pytest.approx(list(means))
    answer = today.units_answer(BOOK, {})
    assert all(probe.shown(side) in answer for side in today.SIDES)
    assert probe.best * one.series.scale["patch"] == means.idxmax()


def test_without_published_drawings_the_page_says_so(monkeypatch):
    monkeypatch.setattr(today, "published", lambda section: [])
    assert today.units_answer(BOOK, {}) == "No run on drawings is published yet."
    assert "this book" not in today.unit_sweeps(BOOK, {})
