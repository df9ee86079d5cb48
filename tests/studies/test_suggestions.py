"""Section 3.6 as tables: every arm once, read back, and made where a page trains."""

import numpy as np
import pytest
import yaml
from fakes import fake_suggestions

from mae_lib.__main__ import main
from mae_lib.studies import suggestions
from mae_lib.studies.better_masking import BOUNDARIES, MASKS
from mae_lib.studies.low_level import TASKS
from mae_lib.studies.results import seeds_of
from mae_lib.studies.suggestions import (
    SUGGESTIONS,
    ordered_pairs,
    published_provenance,
    published_suggestion,
    suggestion,
    tidy,
    verdicts_of,
)

COMMAND = ["table", *SUGGESTIONS, "--seeds", "[0]", "--preset"]


@pytest.fixture(scope="module")
def folder(tiny_preset, tmp_path_factory):
    """What the command leaves of a seed, with the true tree for the discovered one; its runs lie beside it."""
    root = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAE_LIB_RUNS", str(root / "runs"))
        patch.setattr(suggestions, "discovered_tree", lambda world: world.hierarchy)
        assert main([*COMMAND, str(tiny_preset), "--out", str(root / "suggestions")]) == 0
    return root / "suggestions"


def test_every_arm_and_seed_is_there_once(folder, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(folder.parent))
    boundary, masks, extremes = map(published_suggestion, SUGGESTIONS)
    assert {(row.boundary, row.seed) for row in boundary.itertuples()} == {(width, 0) for width in BOUNDARIES}
    assert set(masks["masks"]) == {*MASKS, "untrained"}
    assert set(extremes["ratio"]) == {0.5, 0.75, 0.9, "untrained"}  # the preset's
    for table, name in ((boundary, "boundary"), (masks, "masks"), (extremes, "ratio")):
        assert not table.duplicated([name, "seed", "metric"]).any()
    wanted = {"class probe", "parts probe", "shape bias", "training seconds"}
    assert wanted <= set(boundary["metric"]) and "root probe" in set(masks["metric"])
    assert set(extremes["metric"]) == {*TASKS, "training seconds"}
    records = [published_provenance(name) for name in SUGGESTIONS]
    assert all(record["seeds"] == [0] and record["wall_seconds"] > 0 for record in records)
    assert len({record["code_hash"] for record in records}) == 2  # the first two are measured by the same code
    assert not seeds_of(folder)  # it is no series, and no page of Section 3 must take it for one


def test_what_is_done_is_done_once(folder, tiny_preset, monkeypatch, capsys):
    monkeypatch.setattr(suggestions, "discovered_tree", lambda world: world.hierarchy)
    monkeypatch.setenv("MAE_LIB_RUNS", str(folder.parent / "runs"))
    before = (folder / "masks.csv").read_bytes()
    command = [*COMMAND, str(tiny_preset), "--out", str(folder)]
    assert main(command) == 0 and capsys.readouterr().out.count("complete already") == 3
    (folder / "masks.json").unlink()  # then its runs and their scores are there
    runs = {path: path.stat().st_mtime_ns for path in (folder.parent / "runs").rglob("done.json")}
    assert main(command) == 0
    assert (folder / "masks.csv").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in runs} == runs


@pytest.mark.parametrize("name", SUGGESTIONS)
def test_a_world_without_latents_is_refused_before_any_of_them_trains(name, tiny_preset, tmp_path, monkeypatch, capsys):
    preset = yaml.safe_load(tiny_preset.read_text())
    preset["scale"] |= {"world": "digits", "world_options": {}}
    (tmp_path / "digits.yaml").write_text(yaml.safe_dump(preset))
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    assert main(["table", name, "--preset", str(tmp_path / "digits.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert "latents" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert not list((tmp_path / "runs").glob("*-r*"))
    with pytest.raises(ValueError, match="latents"):
        suggestion(name, tmp_path / "digits.yaml", [0])


def test_nothing_published_is_an_empty_table(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    assert all(published_suggestion(name).empty and published_provenance(name) is None for name in SUGGESTIONS)


def test_a_page_opens_every_published_seed_or_measures_its_own(tiny_preset, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    with pytest.raises(ValueError, match="holds no boundary: choose a preset that trains"):
        suggestion("boundary", "book", [0])
    fake_suggestions(tmp_path / "suggestions")
    assert set(suggestion("boundary", "book", [0])["seed"]) == {0, 1}
    monkeypatch.setenv("MAE_LIB_RUNS", str(folder.parent / "runs"))
    made = suggestion("extremes", tiny_preset, [0])
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(folder.parent))
    means = made.groupby(["ratio", "metric"])["value"].mean()
    told = published_suggestion("extremes").set_index(["ratio", "metric"])["value"]
    assert set(means.index) == set(told.index) and "image" in made
    assert np.allclose(means[told.index], told)


def test_published_verdicts_are_those_of_the_rules(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    fake_suggestions(tmp_path / "suggestions")
    found = {id: verdict.verdict for name in SUGGESTIONS for id, verdict in verdicts_of(name).items()}
    assert set(found) == {claim.id for one in SUGGESTIONS.values() for claim in one.claims()}
    assert found["extreme-high-ratio-keeps-low-level"] == "supported"  # what is read rises with the ratio
    assert found["structure-masks-raise-the-level"] == "supported"  # 0.6 above 0.4, the same in both seeds
    assert found["boundary-left-out-raises-the-level"] == "undecided"  # a tie


def test_every_suggestion_decides_claims_of_its_page():
    decided = {name: {claim.id for claim in one.claims()} for name, one in SUGGESTIONS.items()}
    assert all(decided.values())
    extremes = {"extreme-high-ratio-keeps-low-level", "extreme-high-ratio-matches-low-ratio"}
    assert decided["extremes"] == extremes


def test_only_pairs_that_are_told_apart_are_counted():
    grain = np.random.default_rng(0).normal(0, 0.01, 50)
    roots = {"low": 0.5 + grain, "same": 0.5 - grain, "high": 0.7 + grain, "wrong": 0.3 + grain}
    table = tidy("masks", {(name, 0): {"root probe": values} for name, values in roots.items()})
    found = ordered_pairs(table, {"low": 1.0, "same": 1.5, "high": 2.0, "wrong": 2.05}).set_index(["higher", "lower"])
    counted = {pair: (row["successes"], row["trials"]) for pair, row in found.iterrows()}
    assert counted["high", "low"] == counted["high", "same"] == (1, 1)
    assert counted["wrong", "low"] == (0, 1) and counted["same", "low"] == (0, 0)
    assert ("wrong", "high") not in counted  # predicted alike
    assert set(found["seed"]) == {0}  # one seed: the verdict is marked
    both = tidy("masks", {(name, s): {"root probe": v + s / 100} for name, v in roots.items() for s in (0, 1)})
    assert "seed" not in ordered_pairs(both, {"low": 1.0, "high": 2.0})
