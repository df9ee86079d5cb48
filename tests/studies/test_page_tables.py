"""Tables beside the series: each that a page opens is published with its provenance, with what its measuring gives."""

import itertools
import re
from dataclasses import replace

import pandas as pd
import pytest

from mae_lib.__main__ import main
from mae_lib.folders import shipped_folder
from mae_lib.limits import theorem_2
from mae_lib.presets import load_preset
from mae_lib.studies import contrastive, learned_levels, observers, schedules
from mae_lib.studies.page_tables import TABLES, Table, publish_table
from mae_lib.studies.published_files import CURVES
from mae_lib.tables import published_table
from mae_lib.training.checkpoints import read_json, write_json

COLUMNS = {
    "theorem_2": theorem_2.COLUMNS,
    "levels": learned_levels.COLUMNS,
    "tokens": ("level", "apart", "told", "step", "ratio", "seed"),
    "observers": observers.COLUMNS,
    "contrastive": contrastive.COLUMNS,
    **dict.fromkeys(schedules.SCHEDULES, CURVES),
    "grid": CURVES,
}


@pytest.mark.parametrize("name", COLUMNS)
def test_each_is_published(name):
    table = published_table(name)
    assert tuple(table) == COLUMNS[name] and table.notna().any().all()
    assert read_json(shipped_folder() / f"{name}.json")["finished"]


def test_one_is_written_with_its_provenance_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    with pytest.raises(ValueError, match="python -m mae_lib table tokens makes it"):
        published_table("tokens")
    path = publish_table("tokens", "smoke", tmp_path, seeds=[1])
    assert published_table("tokens").equals(pd.read_csv(path)) and set(published_table("tokens")["seed"]) == {1}
    assert read_json(tmp_path / "tokens.json")["parameters"]["seeds"] == [1]


def test_a_table_goes_on_with_the_seeds_that_it_lacks(tmp_path, monkeypatch, capsys):
    asked, broken = [], [2]

    def measured(preset, seeds, device):
        asked.extend(seeds)
        if seeds == broken:
            raise KeyboardInterrupt
        return pd.DataFrame([(f"{seed:.2f}", seed, seed / 3) for seed in seeds], columns=["condition", "seed", "value"])

    monkeypatch.setitem(TABLES, "tokens", Table(measured, ("mae_lib.presets",)))
    with pytest.raises(KeyboardInterrupt):
        publish_table("tokens", "smoke", tmp_path, "[1, 0, 2]")
    held = read_json(tmp_path / "tokens.json")
    assert held["seeds"] == [1, 0] and held["wall_seconds"] is None
    broken.clear()
    path = publish_table("tokens", "smoke", tmp_path, [1, 0, 2])
    assert asked == [1, 0, 2, 2] and read_json(tmp_path / "tokens.json")["wall_seconds"] is not None
    assert path.read_text() == "condition,seed,value\n1.00,1,0.333333\n0.00,0,0\n2.00,2,0.666667\n"
    publish_table("tokens", "smoke", tmp_path, [1, 0, 2])
    assert "complete already" in capsys.readouterr().out and len(asked) == 4
    monkeypatch.setitem(TABLES, "tokens", replace(TABLES["tokens"], by_seed=False))
    publish_table("tokens", "smoke", tmp_path, [0, 1, 2, 3])  # all anew: what it says depends on which seeds there are
    assert asked[4:] == [0, 1, 2, 3] and len(pd.read_csv(path)) == 4


def test_rows_of_a_seed_that_is_not_whole_are_made_again(tmp_path, monkeypatch):
    rows = pd.DataFrame({"arm": ["0.10", "None", "0.10"], "seed": [0, None, 1], "value": [1, 2, 3]}, dtype="object")
    monkeypatch.setitem(TABLES, "tokens", Table(lambda *_: rows[rows["seed"] != 1], ("mae_lib.presets",)))
    path = publish_table("tokens", "smoke", tmp_path, [0])
    path.write_text(path.read_text() + "0.10,1,3\n")
    monkeypatch.setitem(TABLES, "tokens", Table(lambda *_: rows[rows["seed"] == 1], ("mae_lib.presets",)))
    assert publish_table("tokens", "smoke", tmp_path, [0, 1]).read_text() == rows.to_csv(index=False)


@pytest.mark.parametrize(
    ("preset", "seeds", "says"),
    [
        ("desk", [0], "is another table (preset is 'smoke' there, not 'desk'; "),
        ("smoke", [1], "is another table (seeds is [0] there, not [1])"),
        ("smoke", "[a]", "seeds holds 'a': each must be a whole number"),
        ("smoke", [], "seeds is []: it must be a list with at least one entry"),
    ],
)
def test_another_table_is_refused_before_work(preset, seeds, says, tmp_path, monkeypatch):
    monkeypatch.setitem(TABLES, "tokens", Table(lambda *_: pd.DataFrame({"seed": [0]}), ("mae_lib.presets",)))
    publish_table("tokens", "smoke", tmp_path, [0])
    monkeypatch.setitem(TABLES, "tokens", Table(lambda *_: pytest.fail("it trained"), ("mae_lib.presets",)))
    with pytest.raises(ValueError, match=re.escape(says)):
        publish_table("tokens", preset, tmp_path, seeds)
    write_json(tmp_path / "tokens.json", read_json(tmp_path / "tokens.json") | {"trainer": 0})
    with pytest.raises(ValueError, match="trainer is 0 there"):
        publish_table("tokens", "smoke", tmp_path, [0])


def test_observers_are_compared_along_one_series_at_a_time():
    table = published_table("observers")
    assert observers.observed_along(table, "ratio")["unit"].nunique() == 1
    assert observers.observed_along(table, "unit")["ratio"].nunique() == 1


def test_the_command_line_knows_each(capsys):
    with pytest.raises(SystemExit):
        main(["table", "--help"])
    assert ", ".join(TABLES) in " ".join(capsys.readouterr().out.split())


def test_grids_are_compared_after_as_many_images(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    assert schedules.by_grid().empty
    for name in ("schedules", "desk"):
        (tmp_path / name).symlink_to(shipped_folder() / name)
    assert schedules.by_grid().empty
    preset = load_preset("desk_grid")
    images = preset["scale"]["images"]
    write_json(tmp_path / "grid.json", {"parameters": preset})
    rows = [(0.75, 4, 0, seen, "class probe", seen / images, 10) for seen in (0, images + 16)]
    pd.DataFrame(rows, columns=CURVES).to_csv(tmp_path / "grid.csv", index=False)
    counts = schedules.by_grid().groupby("grid")["images"].unique().map(list).to_dict()
    assert counts == {"14 x 14 patches": [images + 16], "8 x 8 patches": [images]}


def test_schedules_stand_beside_the_finished_runs_of_the_presets_own():
    shorter = pd.DataFrame(
        [(ratio, 4, 0, 150_000, "class probe", value, 10) for ratio, value in ((0.5, 0.2), (0.9, 0.1))], columns=CURVES
    )
    curves = published_table("desk/curves")
    table = schedules.beside(shorter, curves)
    own = table[table["images"] > 150_000]
    assert sorted(own["ratio"]) == [0.5, 0.9] and set(own["seed"]) == {0} and set(own["unit"]) == {4}
    last = curves.query("images == images.max() and unit == 4 and seed == 0").set_index("ratio")["value"]
    gained = schedules.high_over_low(table)["value"].tolist()
    assert gained == pytest.approx([-0.1, last[0.9] - last[0.5]])


def test_lengths_are_compared_over_the_same_seeds():
    masks = itertools.product((0.5, 0.9), (0, 1), (1, 2, 4))
    rows = [(ratio, 4, seed, images, "class probe", ratio * images + seed, 10) for ratio, seed, images in masks]
    table = pd.DataFrame(rows, columns=CURVES).query("not (seed == 1 and images == 4)")
    shared = schedules.shared_lengths(table)
    assert set(shared["images"]) == {1, 2} and set(shared["seed"]) == {0, 1}
    assert set(schedules.high_over_low(table)["images"]) == {1, 2}
    table = table.query("not (ratio == 0.5 and images == 4)")
    last = schedules.last_doubling(table).set_index("ratio")
    assert last.loc[0.5].tolist() == pytest.approx([2, 1, 1.5, 2])  # of two seeds
    assert last.loc[0.9].tolist() == pytest.approx([4, 1.8, 3.6, 1])
