"""`python -m mae_lib series` on drawings: every reader of every section, and scores over training."""

import csv

import numpy as np
import pytest

from mae_lib.presets import load_preset
from mae_lib.studies.curves import curve
from mae_lib.studies.publish import publish
from mae_lib.studies.published_files import add_curves, table
from mae_lib.studies.results import Results
from mae_lib.studies.scores import section_of
from mae_lib.studies.series import Series


@pytest.fixture
def folder(drawn_tiny, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(drawn_tiny / "runs"))
    monkeypatch.setenv("MAE_LIB_DRAWINGS", str(drawn_tiny / "pack"))
    return drawn_tiny / "drawn"


def test_the_folder_holds_supervised_readers_and_opens_as_published(folder):
    scores = Results.open(folder).scores("separability")
    assert {("supervised", 0), ("untrained", 0), ("pixels",), ("nothing",), (0.75, 8, 0), (0.9, 8, 0)} == set(scores)
    assert all({"IN1K", "IN-S", "silhouettes", "class probe"} <= found.keys() for found in scores.values())
    assert (folder / "scores" / "supervised-s0.npz").is_file()
    verdicts = Results.open(folder).verdicts()
    assert verdicts["higher-ratios-probe-better"].verdict == "not run"  # two ratios only
    assert verdicts["extreme-ratio-hurts-probe"].verdict != "not run"


def test_a_second_call_does_nothing(folder, drawn_tiny, capsys):
    publish(drawn_tiny / "drawn.yaml", folder, device="cpu")
    assert "complete already" in capsys.readouterr().out


def test_curves_go_from_fresh_weights_to_the_finished_model(folder, drawn_tiny):
    rows = table(folder / "curves.csv")
    assert {row["images"] for row in rows} == {"0", "16", "32"} and {row["metric"] for row in rows} == {"class probe"}
    series = Series.from_parameters(load_preset(drawn_tiny / "drawn.yaml"))
    section, mask = section_of("separability", series), (0.9, 8, 0)
    found = curve(section, series, mask)
    ours = {int(row["images"]): float(row["value"]) for row in rows if row["ratio"] == "0.9"}
    assert {images: scores["class probe"].mean() for images, scores in found.items()} == pytest.approx(ours)
    last = section.on_the_way(series.train()[mask].load())["class probe"]
    assert found[32]["class probe"].mean() == pytest.approx(last.mean(), abs=0.1)  # kept in half precision


def test_curves_of_the_same_reader_are_replaced_and_others_stay(tmp_path):
    for value in (0.25, 0.75):
        add_curves(tmp_path, (0.5, 8, 0), {16: {"class probe": np.array([value])}})
        add_curves(tmp_path, (0.5, 8, 1), {16: {"class probe": np.array([value])}})
    with open(tmp_path / "curves.csv", newline="") as file:
        values = {row["seed"]: row["value"] for row in csv.DictReader(file)}
    assert values == {"0": "0.75", "1": "0.75"} and len(table(tmp_path / "curves.csv")) == 2


def test_a_mask_that_was_trained_without_snapshots_has_no_curve(published_tiny, tiny_preset, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(published_tiny.parent.parent / "tiny_runs"))
    series = Series.from_parameters(load_preset(tiny_preset))
    assert curve(section_of("separability", series), series, (0.75, 8, 0)) == {}
    assert not (published_tiny / "curves.csv").exists()
