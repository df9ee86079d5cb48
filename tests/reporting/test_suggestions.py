"""`python -m mae_lib suggestions`: every arm and seed once, read back, resumed, and no mixing of results."""

import pytest

from mae_lib.__main__ import main
from mae_lib.evaluation.suggestions import BOUNDARIES, MASKS
from mae_lib.reporting import suggestions
from mae_lib.reporting.published import is_whole
from mae_lib.reporting.suggestions import published_provenance, published_suggestion
from mae_lib.training.checkpoints import read_json, write_json

COMMAND = ["suggestions", "--seeds", "[0]", "--preset"]


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
    boundary, masks = published_suggestion("boundary"), published_suggestion("masks")
    assert {(row.boundary, row.seed) for row in boundary.itertuples()} == {(width, 0) for width in BOUNDARIES}
    assert set(masks["masks"]) == {*MASKS, "untrained"}
    for table, name in ((boundary, "boundary"), (masks, "masks")):
        assert not table.duplicated([name, "seed", "metric"]).any()
    wanted = {"class probe", "parts probe", "shape bias", "training seconds"}
    assert wanted <= set(boundary["metric"]) and "root probe" in set(masks["metric"])
    assert published_provenance()["seeds"] == [0] and published_provenance()["wall_seconds"] > 0
    assert not is_whole(folder)  # it is no series, and no page of Section 3 must take it for one


def test_what_is_done_is_done_once(folder, tiny_preset, monkeypatch, capsys):
    monkeypatch.setattr(suggestions, "discovered_tree", lambda world: world.hierarchy)
    monkeypatch.setenv("MAE_LIB_RUNS", str(folder.parent / "runs"))
    before = (folder / "scores.csv").read_bytes()
    command = [*COMMAND, str(tiny_preset), "--out", str(folder)]
    assert main(command) == 0 and "complete already" in capsys.readouterr().out
    record = read_json(folder / "provenance.json")
    write_json(folder / "provenance.json", record | {"wall_seconds": None})  # as a kill leaves it
    runs = {path: path.stat().st_mtime_ns for path in (folder.parent / "runs").rglob("done.json")}
    assert main(command) == 0
    assert (folder / "scores.csv").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in runs} == runs


def test_other_results_are_not_mixed_in(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    for preset, out, says in (
        ("smoke", folder, "holds results of another preset"),
        ("smoke", folder.parent, "holds no published suggestions"),
        ("smok", tmp_path / "new", "'smok' is unknown"),
    ):
        assert main([*COMMAND, preset, "--out", str(out)]) == 2
        assert says in capsys.readouterr().err


def test_nothing_published_is_an_empty_table(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    assert published_suggestion("boundary").empty and published_suggestion("masks").empty
    assert published_provenance() is None
