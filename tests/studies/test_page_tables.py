"""Tables beside the series: each that a page opens is published with its provenance, with what its measuring gives."""

import pandas as pd
import pytest

from mae_lib.__main__ import main
from mae_lib.folders import shipped_folder
from mae_lib.limits import theorem_2
from mae_lib.studies import contrastive, learned_levels, observers, schedules
from mae_lib.studies.page_tables import TABLES, publish_table
from mae_lib.studies.published_files import CURVES
from mae_lib.tables import published_table
from mae_lib.training.checkpoints import read_json

COLUMNS = {
    "theorem_2": theorem_2.COLUMNS,
    "levels": learned_levels.COLUMNS,
    "tokens": ("level", "apart", "told", "step", "ratio", "seed"),
    "observers": observers.COLUMNS,
    "contrastive": contrastive.COLUMNS,
    "schedules": CURVES,
}


@pytest.mark.parametrize("name", TABLES)
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


def test_schedules_go_on_where_a_folder_stops(tmp_path, monkeypatch):
    trained = []

    def finished(preset, ratios, seed, images, device):
        trained.extend((ratio, seed, images) for ratio in ratios)
        return pd.DataFrame([(ratio, 4, seed, images, "class probe", 0.5, 10) for ratio in ratios], columns=CURVES)

    monkeypatch.setattr(schedules, "_finished", finished)
    file = publish_table("schedules", "desk", tmp_path, seeds=[0])
    table = pd.read_csv(file)
    assert len(table) == len(trained) == len(schedules.TIMES) * len(schedules.RATIOS)
    table[2:].to_csv(file, index=False)  # as an earlier call that asked for less leaves it
    publish_table("schedules", "desk", tmp_path, seeds=[0, 1])
    assert trained[len(table) :] == trained[:2] + [(ratio, 1, images) for ratio, _, images in trained[: len(table)]]
    assert pd.read_csv(file).query("seed == 0").equals(table)
    publish_table("schedules", "smoke", tmp_path, seeds=[0])  # another scale begins anew
    assert pd.read_csv(file)["images"].max() < table["images"].max()


def test_observers_are_compared_along_one_series_at_a_time():
    table = published_table("observers")
    assert observers.observed_along(table, "ratio")["unit"].nunique() == 1
    assert observers.observed_along(table, "unit")["ratio"].nunique() == 1


def test_the_command_line_knows_each(capsys):
    with pytest.raises(SystemExit):
        main(["table", "--help"])
    assert f"{{{','.join(TABLES)}}}" in capsys.readouterr().out


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
