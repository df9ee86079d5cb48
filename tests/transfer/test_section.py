"""Section 3.5 as a whole: every encoder and fresh weights, fine-tuned alike, measured, published and read back."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from mae_lib.__main__ import main
from mae_lib.folders import runs_folder
from mae_lib.presets import load_preset
from mae_lib.studies.published_files import called, table
from mae_lib.studies.results import published
from mae_lib.studies.scores import readers, section_of
from mae_lib.studies.series import Series
from mae_lib.transfer.coco_annotations import CocoError
from mae_lib.transfer.scoring import score

MASK = (0.75, 8, 0)
DETECTION = {name: value for name, value in load_preset("smoke")["scale"].items() if name.startswith("detection_")}
DETECTION |= {"detection_train": 8, "detection_test": 6, "detection_images": 8, "detection_batch": 4}


@pytest.fixture(scope="module")
def results(published_tiny, tmp_path_factory):
    """A copy of the published series of seconds, whose encoders of seed 0 are shipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAE_LIB_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield Path(shutil.copytree(published_tiny, tmp_path_factory.mktemp("results") / "tiny"))


@pytest.fixture(scope="module")
def preset(results):
    """That series' preset, one seed, with detectors of two steps."""
    whole = yaml.safe_load((results / "preset.yaml").read_text())
    path = results.parent / "mini.yaml"
    path.write_text(yaml.safe_dump(whole | {"seeds": [0], "scale": whole["scale"] | DETECTION}, sort_keys=False))
    return path


def test_every_encoder_and_fresh_weights_are_measured_and_published(preset, results, capsys, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(results.parent))
    assert published("detection") == []
    assert main(["detect", "--preset", str(preset), "--out", str(results), "--device", "cpu"]) == 0
    assert "3 of 4: r 0.75, unit 8 px, seed 0: AP box" in capsys.readouterr().out
    assert not list(runs_folder().glob("figurines-*"))  # shipped encoders are not trained again
    (one,) = published("detection")
    scores = one.scores("detection")
    assert list(scores) == [("untrained", 0), (0.5, 8, 0), MASK, (0.9, 8, 0)]
    measured = {"AP box", "AP mask", "AP50 box", "AP50 mask"}
    gained = {"AP box over scratch", "AP mask over scratch"}
    assert all(set(found) == measured | (gained if len(who) == 3 else set()) for who, found in scores.items())
    assert one.verdicts()["three-quarters-transfers-best"].verdict != "not run"


def test_one_encoder_alone_and_what_the_preset_does_not_have(preset, capsys):
    assert main(["detect", "--preset", str(preset), "--mask-ratio", "0.75", "--scratch", "--device", "cpu"]) == 0
    assert "2 of 2" in capsys.readouterr().out
    assert main(["detect", "--preset", str(preset), "--mask-ratio", "0.3", "--device", "cpu"]) == 2
    assert "the preset has no r 0.3, unit 8 px, seed 0: it has untrained, seed 0" in capsys.readouterr().err


def test_the_paper_preset_asks_for_coco_before_anything_is_trained(preset, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MAE_LIB_COCO", raising=False)
    whole = load_preset(preset)
    whole["scale"] |= {"detection_data": "coco", "detection_train": None, "detection_test": None}
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    assert main(["detect", "--preset", str(path), "--device", "cpu"]) == 2
    assert "set MAE_LIB_COCO to the one that holds train2017/" in capsys.readouterr().err
    assert main(["detect", "--preset", str(path), "--coco", str(tmp_path), "--device", "cpu"]) == 2
    assert "train2017 does not exist" in capsys.readouterr().err


def test_a_split_without_objects_is_refused_before_anything_is_trained(preset, coco):
    """Its precision would be NaN. What is left of the miniature: nothing; a crowd and a box without an inside."""
    series = Series.from_parameters(load_preset(preset))
    taken = {"detection_data": "coco", "detection_train": None, "detection_test": None}
    section = section_of("detection", Series(series.configs, series.scale | taken), folder=str(coco))
    for split, left in (("val", slice(0)), ("val", slice(4, 6)), ("train", slice(4, 6))):
        file = coco / "annotations" / f"instances_{split}2017.json"
        whole = file.read_text()
        content = json.loads(whole)
        file.write_text(json.dumps(content | {"annotations": content["annotations"][left]}))
        with pytest.raises(
            CocoError, match=rf"instances_{split}2017\.json lists no object with an inside, crowds aside"
        ):
            _ = dataclasses.replace(section).data
        file.write_text(whole)


def test_scores_are_those_of_the_detector_and_scratch_learns_at_one_rate(preset, coco):
    series = Series.from_parameters(load_preset(preset))
    section = section_of("detection", series)
    assert next(map(called, readers(section, series))) == "untrained, seed 0"
    model = series.train(device="cpu")[MASK].load()
    direct = score(section.detector(MASK, model), section.data["val"])
    measured = section.measure(MASK, model)
    assert all(np.array_equal(measured[name], values) for name, values in direct.contributions.items())
    real = dataclasses.replace(section, scale=section.scale | {"detection_data": "coco"}, folder=str(coco))
    real = dataclasses.replace(real, scale=real.scale | {"detection_train": None, "detection_test": None})
    assert len(real.data["train"]) == 4 and real.key != section.key
    assert section.key == section_of("detection", series).key


def test_coco_end_to_end_by_the_command_of_the_real_one(preset, coco, tmp_path, capsys, monkeypatch):
    """The miniature in COCO's layout, with the paper's jitter and flips: learned, scored, published, found again."""
    monkeypatch.delenv("MAE_LIB_COCO", raising=False)
    whole = load_preset(preset)
    real = {name: load_preset("paper")["scale"][name] for name in ("detection_jitter", "detection_flip")}
    real |= {"detection_data": "coco", "detection_train": None, "detection_test": None}
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(whole | {"scale": whole["scale"] | real}, sort_keys=False))
    command = ["detect", "--preset", str(path), "--mask-ratio", "0.75", "--scratch", "--coco", str(coco)]
    command += ["--out", str(tmp_path / "out"), "--workers", "2", "--device", "cpu"]
    assert main(command) == 0
    assert "2 of 2: r 0.75, unit 8 px, seed 0: AP box" in capsys.readouterr().out
    rows = (tmp_path / "out" / "detection.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 4 and all(np.isfinite(float(row.split(",")[-2])) for row in rows[1:])
    done = [folder.stat().st_mtime_ns for folder in runs_folder().glob("detection-*/done.json")]
    assert main(command) == 0
    assert [folder.stat().st_mtime_ns for folder in runs_folder().glob("detection-*/done.json")] == done


def test_drawings_have_a_supervised_start_and_rows_are_added_to(drawn_tiny, tmp_path, monkeypatch, capsys):
    """Seed by seed, into one folder; other settings replace what it held."""
    monkeypatch.setenv("MAE_LIB_RUNS", str(drawn_tiny / "runs"))
    monkeypatch.setenv("MAE_LIB_DRAWINGS", str(drawn_tiny / "pack"))
    whole = yaml.safe_load((drawn_tiny / "drawn.yaml").read_text())
    drawn = DETECTION | {"detection_data": "drawings", "detection_scenes": {"side": [16, 30], "categories": 4}}
    path, out = tmp_path / "drawn.yaml", tmp_path / "out"

    def detect(*options: str, **scale) -> list[dict]:
        path.write_text(yaml.safe_dump(whole | {"scale": whole["scale"] | drawn | scale}, sort_keys=False))
        assert main(["detect", "--preset", str(path), "--out", str(out), "--device", "cpu", *options]) == 0
        return table(out / "detection.csv")

    rows = detect()
    assert {row["reader"] for row in rows} == {"untrained", "supervised", "trained"}
    assert "2 of 4: supervised, seed 0: AP box" in capsys.readouterr().out
    more = detect("--scratch", "--seeds", "[1]")
    assert more[: len(rows)] == rows and {row["seed"] for row in more[len(rows) :]} == {"1"}
    assert json.loads((out / "detection.json").read_text())["parameters"]["seeds"] == [0, 1]
    other = detect("--scratch", detection_lr=0.001)
    assert {(row["reader"], row["seed"]) for row in other} == {("untrained", "0")}
