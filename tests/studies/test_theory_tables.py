"""Tables of Section 2: each that a page opens is published with its provenance, and has what its measuring gives."""

import pandas as pd
import pytest

from mae_lib.folders import shipped_folder
from mae_lib.limits import theorem_2
from mae_lib.studies import contrastive, learned_levels, observers
from mae_lib.studies.theory_tables import TABLES, publish_table
from mae_lib.tables import published_table
from mae_lib.training.checkpoints import read_json

COLUMNS = {
    "theorem_2": theorem_2.COLUMNS,
    "levels": learned_levels.COLUMNS,
    "tokens": ("level", "apart", "told", "step", "ratio", "seed"),
    "observers": observers.COLUMNS,
    "contrastive": contrastive.COLUMNS,
}


@pytest.mark.parametrize("name", TABLES)
def test_each_is_published(name):
    table = published_table(name)
    assert tuple(table) == COLUMNS[name] and table.notna().any().all()
    assert read_json(shipped_folder() / f"{name}.json")["finished"]


def test_one_is_written_with_its_provenance_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    with pytest.raises(ValueError, match="python -m mae_lib theory tokens makes it"):
        published_table("tokens")
    path = publish_table("tokens", "smoke", tmp_path, seeds=[1])
    assert published_table("tokens").equals(pd.read_csv(path)) and set(published_table("tokens")["seed"]) == {1}
    assert read_json(tmp_path / "tokens.json")["parameters"]["seeds"] == [1]


def test_observers_are_compared_along_one_series_at_a_time():
    table = published_table("observers")
    assert observers.observed_along(table, "ratio")["unit"].nunique() == 1
    assert observers.observed_along(table, "unit")["ratio"].nunique() == 1
