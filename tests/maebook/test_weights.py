"""The page of shipped encoders: what it says of each is what its files say, and its lines load it in timm."""

import ast
import csv
import re
from pathlib import Path

import pytest
import torch

from mae_lib.studies.publish import shipped_runs
from mae_lib.studies.results import published
from mae_lib.worlds import world as worlds
from maebook.sphinx import weights
from maebook.sphinx.tables import load

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
FOLDERS = [
    one.directory for one in published() if (one.directory / "encoders").is_dir()
]  # one that still grows is not shown


@pytest.fixture(scope="module")
def page() -> str:
    return weights.weights(BOOK, {})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_three_statements_of_each_folder_load_the_encoder_as_it_was(folder, page, monkeypatch):
    monkeypatch.chdir(ROOT)
    code = re.search(rf"## `{folder.name}`.*?```python\n(.*?)```", page, re.DOTALL)[1]
    imports, statements = code.strip().split("\n\n")
    assert len(ast.parse(statements).body) == 3 and imports.count("import") == 2
    assert max(map(len, code.splitlines())) <= 105
    names: dict = {}
    exec(code, names)
    run = next(iter(shipped_runs(folder).values()))
    images = torch.rand(2, 3, run.config.image_size, run.config.image_size)
    mean, std = (torch.tensor(value)[:, None, None] for value in (run.config.pixel_mean, run.config.pixel_std))
    with torch.no_grad():
        there = names["encoder"].eval().forward_features((images - mean) / std)
        torch.testing.assert_close(there, run.load().encode(images))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_encoder_stands_there_with_its_own_scores(folder, page):
    rows = list(csv.DictReader((folder / "scores.csv").open()))
    part = page.partition(f"## `{folder.name}`")[2].partition("\n## ")[0]
    for (ratio, unit, seed), run in shipped_runs(folder).items():
        row = part.partition(f"* - `{run.directory.name}`")[2].partition("\n* - ")[0]
        mine = [one for one in rows if (one["ratio"], one["unit"], one["seed"]) == (f"{ratio:g}", f"{unit}", f"{seed}")]
        for section, metric in weights.SCORES.items():
            found = [one["value"] for one in mine if (one["section"], one["metric"]) == (section, metric)]
            assert all(f"- {float(value):.3f}" in row for value in found)
        assert f"- {run.config.images:,}" in row


def test_every_world_has_its_card_and_drawings_name_every_hand():
    cards = weights.world_cards(BOOK, {})
    assert set(load(BOOK, "worlds")) == {"figurines", "invertible_tree", "drawings", "photographs", "digits"}
    assert set(load(BOOK, "worlds")) <= set(worlds._WORLDS)
    for hand in ("openmoji-black", "twemoji", "noto", "fluent-3d"):
        assert f"{hand}: " in cards
    assert "CC BY-SA 4.0" in weights.licence("drawings") and weights.licence("figurines") == "MIT, as the book"


def test_a_world_without_a_card_is_refused(monkeypatch):
    monkeypatch.setattr(weights, "load", lambda *_: {})
    with pytest.raises(ValueError, match="ships encoders of 'figurines': give it a card"):
        weights.weights(BOOK, {})
