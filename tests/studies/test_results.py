"""Published results read back: the same tables and verdicts as a live run, and errors that say what is published."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from mae_lib.claims.claims import load_claims
from mae_lib.claims.verdicts import decide
from mae_lib.studies.image_scores import image_scores_file
from mae_lib.studies.results import Results, encoder_table, published, strongest_run
from mae_lib.studies.scores import measure_all, section_of
from mae_lib.studies.series import Series


def asked(preset, **changes) -> Series:
    given = {"mask_ratios": [0.5, 0.75, 0.9], "units": [8], "seeds": [0]} | changes
    return Series.of(preset, **given)


def test_tables_hold_the_means_of_what_was_measured(only_tiny, monkeypatch):
    one = Results.open(only_tiny)
    monkeypatch.setenv("MAE_LIB_RUNS", str(only_tiny.parent.parent / "tiny_runs"))
    for name in ("reconstruction", "separability"):
        live, read = measure_all(section_of(name, one.series), one.series), one.scores(name)
        assert live.keys() == read.keys()
        for reader, scores in live.items():
            assert scores.keys() == read[reader].keys()
            for metric, values in scores.items():
                assert read[reader][metric] == pytest.approx(values.mean(), rel=1e-9, abs=1e-9)


def test_what_only_several_readers_tell_is_worked_out_for_older_tables(only_tiny, tmp_path):
    shutil.copytree(only_tiny, tmp_path / "old")
    table = pd.read_csv(tmp_path / "old" / "scores.csv")
    shutil.rmtree(tmp_path / "old" / "scores")
    table[table["metric"] != "class gained"].to_csv(tmp_path / "old" / "scores.csv", index=False)
    old, new = (Results.open(folder).scores("separability") for folder in (tmp_path / "old", only_tiny))
    gained = new[0.9, 8, 1]["class gained"]
    assert old[0.9, 8, 1]["class gained"] == pytest.approx(gained)
    assert gained == pytest.approx(new[0.9, 8, 1]["class probe"] - new["untrained", 1]["class probe"])
    assert "class gained" not in new["untrained", 1]


def test_a_verdict_is_the_one_that_all_images_would_give(only_tiny, monkeypatch):
    one = Results.open(only_tiny)
    monkeypatch.setenv("MAE_LIB_RUNS", str(only_tiny.parent.parent / "tiny_runs"))
    claim = load_claims()["extreme-ratio-hurts-probe"]
    live = one.series.tidy("ratio", measure_all(section_of("separability", one.series), one.series))
    live, read = decide(claim, live), one.verdicts()[claim.id]
    assert (live.verdict, read.basis) == (read.verdict, "seeds and images")
    for a, b in zip(live.findings, read.findings):
        assert a.numbers == pytest.approx(b.numbers)


def test_means_alone_give_the_same_differences_and_say_what_they_leave_out(only_tiny, tmp_path):
    shutil.copytree(only_tiny, tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "scores")
    whole, means = Results.open(only_tiny), Results.open(tmp_path / "old")
    leaves_out = {"extreme-ratio-hurts-probe": "test images as its own", "extreme-ratio-favours-pixels": "left out"}
    for name, says in leaves_out.items():
        new, old = whole.verdicts()[name], means.verdicts()[name]
        assert (new.basis, old.basis) == ("seeds and images", "seeds") and says in old.why and says not in new.why
        for a, b in zip(new.findings, old.findings):
            assert a.numbers["difference"] == pytest.approx(b.numbers["difference"], rel=2e-3, abs=2e-3)


def test_images_that_another_machine_chose_differently_are_compared_by_their_means(only_tiny, tmp_path):
    shutil.copytree(only_tiny, tmp_path / "moved")
    file = image_scores_file(tmp_path / "moved", (0.9, 8, 1), {})[0]
    with np.load(file, allow_pickle=False) as held:
        kept = {name: held[name] for name in held.files}
    kept["separability/IN-A"] = kept["separability/IN-A"][1:]
    np.savez_compressed(file, **kept)
    images = Results.open(tmp_path / "moved").image_scores("separability")
    assert all("IN1K" in one and "IN-A" not in one for one in images.values())
    before, after = (Results.open(folder).verdicts() for folder in (only_tiny, tmp_path / "moved"))
    assert after["extreme-ratio-hurts-probe"].basis == before["extreme-ratio-hurts-probe"].basis == "seeds and images"
    claim = load_claims()["moderate-ratio-is-robust"]  # on every set, IN-A among them
    before, after = (Results.open(folder).evidence(claim) for folder in (only_tiny, tmp_path / "moved"))
    assert "image" in before and "count" in after and "IN-A" in set(after["metric"])


def test_scores_of_images_are_kept_to_half_precision(only_tiny):
    one = Results.open(only_tiny)
    for section in ("separability", "reconstruction", "attention"):
        means, images = one.scores(section), one.image_scores(section)
        assert images.keys() == means.keys()
        for reader, scores in images.items():
            for metric, values in scores.items():
                assert np.mean(values) == pytest.approx(means[reader][metric], rel=2e-3, abs=2e-3), metric


def test_every_claim_of_section_3_gets_a_verdict(only_tiny):
    verdicts = Results.open(only_tiny).verdicts()
    claims = {claim.id for claim in load_claims().values() if claim.measured}
    assert set(verdicts) == claims
    assert verdicts["high-level-from-pixels"].verdict != "not run"
    assert verdicts["medium-unit-beats-small"].verdict == "not run"  # one unit only
    assert verdicts["high-levels-need-moderate-masks"].verdict == "not run"  # no ratio 0.1
    assert verdicts["tsne-alike-at-high-ratios"].verdict == "not run"


def test_the_finished_seeds_of_a_folder_are_published_and_no_others(only_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    assert published() == []
    shutil.copytree(only_tiny, tmp_path / "half")
    assert [one.parameters["seeds"] for one in published()] == [[0, 1]]
    table = pd.read_csv(tmp_path / "half" / "training.csv")
    table[(table["ratio"] != 0.9) | (table["seed"] != 1)].to_csv(tmp_path / "half" / "training.csv", index=False)
    assert [one.parameters["seeds"] for one in published()] == [[0]]
    table[table["ratio"] != 0.9].to_csv(tmp_path / "half" / "training.csv", index=False)
    assert published() == []
    with pytest.raises(ValueError, match="half holds no finished results"):
        Results.open(tmp_path / "half")


def test_the_strongest_run_has_as_many_seeds_and_masks_and_is_larger_and_no_record(longer, tmp_path):
    assert strongest_run("reconstruction").name == "tiny"  # as many seeds, and more masks
    shutil.copytree(tmp_path / "tiny", tmp_path / "twice")
    preset = yaml.safe_load((tmp_path / "twice" / "preset.yaml").read_text())
    preset["scale"]["images"] *= 2
    (tmp_path / "twice" / "preset.yaml").write_text(yaml.safe_dump(preset))
    assert strongest_run("reconstruction").name == "twice"
    (tmp_path / "twice" / "superseded.md").write_text("Newer runs stand for it.")
    assert strongest_run("reconstruction").name == "tiny"
    with pytest.raises(ValueError, match="no published results of 'detection': choose a preset that trains"):
        strongest_run("detection")


def test_a_folder_without_encoders_says_so(only_tiny, tmp_path):
    shutil.copytree(only_tiny, tmp_path / "bare", ignore=shutil.ignore_patterns("encoders"))
    with pytest.raises(ValueError, match="bare ships no encoders"):
        Results.open(tmp_path / "bare").runs()


def test_shape_bias_at_a_published_strength_only(only_tiny):
    one = Results.open(only_tiny)
    half = one.scores(one.section("shape_bias", cue_strength=0.5))[0.75, 8, 0]
    assert half["shape accuracy"] == half["shape accuracy at 0.5"]
    with pytest.raises(ValueError, match=r"cue strengths \[0\.3\] are not among those published"):
        one.section("shape_bias", cue_strengths=(0.3,))


def test_an_encoder_table_pairs_seeds():
    series = Series.of("smoke", [0.75], [8], [0, 1])
    scores = {(0.75, 8, s): {"m": np.array([1.0, 0.0])} for s in (0, 1)}
    scores |= {("untrained", s): {"m": np.array([0.0, s])} for s in (0, 1)} | {("pixels",): {"m": np.array([1.0, 1.0])}}
    table = encoder_table(series, scores)
    assert table.columns.tolist() == ["encoder", "seed", "metric", "image", "value"] and len(table) == 12
    means = table.groupby(["encoder", "seed"])["value"].mean()
    assert means["untrained", 1] == 0.5 and means["pixels"].tolist() == [1.0, 1.0]
    assert isinstance(table, pd.DataFrame)
