"""The paper's own scale on miniatures, through the commands of the real one: pretrain, evaluate, series."""

import csv
import json
import os
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from mae_lib.__main__ import main
from mae_lib.imagenet.evaluate import ATTENTION
from mae_lib.metrics.robustness import SETS
from mae_lib.presets import load_preset
from mae_lib.studies import SECTIONS
from mae_lib.studies.scores import measure_all, section_of
from mae_lib.studies.series import Series
from mae_lib.training import find
from maebook.execute import execute

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
MEASURED = set(SECTIONS)


@pytest.fixture(scope="module")
def trained(miniatures, miniature_preset, tmp_path_factory):
    """A pretrained run and its evaluation by the commands; the module's runs folder and what was printed."""
    runs = tmp_path_factory.mktemp("runs")
    environment = miniatures | {"MAE_LIB_WORKERS": "0", "MAE_LIB_RUNS": str(runs)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        common = ["--preset", str(miniature_preset), "--runs", str(runs), "--device", "cpu", "--quiet"]
        assert main(["pretrain", *common]) == 0
        assert main(["evaluate", *common]) == 0
        yield runs, common


def table(runs: Path) -> dict:
    return json.loads(next(runs.glob("imagenet-*/table_1.json")).read_text())


def test_one_command_scores_every_set_and_the_shape_bias(trained):
    scores = table(trained[0])
    assert set(scores) == {*SETS, "shape bias", *ATTENTION, "missing"} and not scores["missing"]
    counts = {column: scores[column]["images"] for column in SETS}
    assert counts == {"IN1K": 64, "IN-v2": 16, "OJN": 9, "IN-R": 14, "IN-A": 10, "IN-S": 16}
    # Colour tells the class of a miniature, and a probe that works reads it: one in sixteen is a guess.
    assert scores["IN1K"]["low"] > 2 / 16 and scores["IN-v2"]["value"] > 2 / 16
    hits = scores["shape bias"]["counts"]
    assert sum(hits.values()) == 48 and hits["same"] == 16
    # A token of sixteen that looks everywhere alike keeps a sixteenth; none reaches further than the diagonal.
    assert scores["kept by a token"]["low"] > 0 and 0 < scores["reach of a token"]["value"] < 2**0.5
    drawn = Image.open(next(trained[0].glob("imagenet-*/attention.png")), formats=["PNG"])
    pixels = np.asarray(drawn)
    assert pixels.shape == (3 * 32, 8 * 32, 3) and pixels.std((0, 1)).min() > 0
    maps = pixels[32:].reshape(2, 4, 8, 8, 4, 8, 3)  # each patch is of one grey; the brightest is white
    assert (maps == maps[:, :, :1, :, :, :1, :1]).all() and (maps.max((1, 2, 4, 5, 6)) == 255).all()
    decided = hits["shape"] + hits["texture"]
    assert scores["shape bias"]["value"] == pytest.approx(hits["shape"] / decided)


def test_asking_again_reads_the_probe(trained):
    runs, common = trained
    head = next(runs.glob("imagenet-*/probe-*/model.safetensors"))
    before, written = head.stat().st_mtime_ns, table(runs)
    assert main(["evaluate", *common]) == 0
    assert head.stat().st_mtime_ns == before and table(runs) == written


def test_a_set_that_is_not_here_is_left_out_and_named(trained, monkeypatch, capsys):
    runs, common = trained
    monkeypatch.delenv("MAE_LIB_OBJECTNET")
    monkeypatch.setenv("MAE_LIB_CUE_CONFLICT", "/nowhere")
    assert main(["evaluate", *common]) == 0
    said = capsys.readouterr().out
    assert "OJN  left out: MAE_LIB_OBJECTNET is not set" in said
    assert "shape bias  left out: /nowhere (MAE_LIB_CUE_CONFLICT) is not there" in said
    assert set(table(runs)["missing"]) == {"OJN", "shape bias"}


def test_a_run_that_nobody_trained_is_named(trained, capsys):
    assert main(["evaluate", *trained[1], "--seed", "3"]) == 2
    said = capsys.readouterr().err
    assert "imagenet-r0.75-u8-s3-" in said and "python -m mae_lib pretrain does" in said
    assert main(["evaluate", *trained[1], "--preset", "smoke"]) == 2


def test_sections_share_names_with_the_other_worlds_and_leave_out_what_needs_latents(trained, miniature_preset):
    preset = load_preset(miniature_preset)
    series = Series.from_parameters(preset)
    found = {name: measure_all(section_of(name, series), series, device="cpu") for name in MEASURED}
    mask = (0.75, 8, 0)
    assert set(found["separability"]) == {("pixels",), ("nothing",), ("untrained", 0), mask}
    scores = found["separability"][mask]
    assert scores["IN1K"].mean() == table(trained[0])["IN1K"]["value"]
    assert np.array_equal(scores["class probe"], scores["IN1K"])
    assert not any(name.startswith(("parts", "corners")) for name in scores)
    nothing = found["separability"][("nothing",)]
    assert nothing["IN1K"].mean() == pytest.approx(1 / 16)
    attention = found["attention"][mask]
    assert np.isnan(attention["class token on the object"]).all()
    assert (attention["reach of a part token"] > 0).all() and (attention["share on itself"] <= 1).all()
    uniform = found["attention"][("uniform",)]
    assert uniform["share on itself"] == pytest.approx(1 / 16)
    assert np.isfinite(found["reconstruction"][mask]["SSIM"]).all()
    assert found["shape_bias"][mask]["shape bias"].shape == (32,)
    assert find(series.configs[mask]) is not None


def test_data_that_are_missing_are_missed_before_anything_is_trained(trained, tmp_path, monkeypatch, capsys):
    preset = Path(trained[1][1])
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("MAE_LIB_IMAGENET_A")
    assert main(["series", "--preset", str(preset), "--out", str(tmp_path / "mini"), "--device", "cpu"]) == 2
    assert "Table 1 needs all six sets: MAE_LIB_IMAGENET_A is not set" in capsys.readouterr().err
    assert not list((tmp_path / "runs").glob("imagenet-*"))


def test_other_files_are_other_scores(trained, miniature_preset, tmp_path, monkeypatch):
    series = Series.from_parameters(load_preset(miniature_preset))
    before = {name: section_of(name, series).key for name in MEASURED}
    shutil.copytree(os.environ["MAE_LIB_IMAGENET_R"], tmp_path / "r")
    next((tmp_path / "r").glob("imagenet-r/*/*")).unlink()
    monkeypatch.setenv("MAE_LIB_IMAGENET_R", str(tmp_path / "r"))
    assert {n for n in MEASURED if section_of(n, series).key != before[n]} == {"separability"}


def test_the_whole_of_section_3_is_published_by_one_command(trained, miniature_preset, tmp_path):
    assert main(["series", "--preset", str(miniature_preset), "--out", str(tmp_path / "mini"), "--device", "cpu"]) == 0
    rows = list(csv.DictReader((tmp_path / "mini" / "scores.csv").open()))
    assert {row["section"] for row in rows} == MEASURED
    assert all(np.isfinite(float(row["value"])) for row in rows if row["metric"] != "shape bias")
    assert not any(row["metric"] == "class token on the object" for row in rows)


@pytest.mark.parametrize("page", [pytest.param("3_2_attention", marks=pytest.mark.slow), "3_3_separability"])
def test_a_page_of_section_3_runs_on_the_miniature(trained, miniature_preset, tmp_path, monkeypatch, forked, page):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    written = execute(NOTEBOOKS / f"{page}.ipynb", tmp_path / f"{page}.ipynb", str(miniature_preset))
    cells = [cell for cell in nbformat.read(written, as_version=4).cells if cell.cell_type == "code"]
    shown = "".join(str(output) for cell in cells for output in cell.outputs)
    assert "imagenet" in shown
    verdicts = json.loads((trained[0] / "verdicts" / "miniature" / f"{page}.json").read_text())["verdicts"]
    assert {verdict["verdict"] for verdict in verdicts} == {"not run"}  # one mask decides nothing


def test_what_is_asked_of_an_evaluation_now_counts(trained, capsys):
    """Only the files tell runs on ImageNet apart, so options of its world are no part of a run's address."""
    runs, common = trained
    before = set(runs.glob("imagenet-*/probe-*"))
    asked = "{probe: {batch: 12, epochs: 2, warmup_epochs: 0, base_lr: 0.1}, v2: top-images}"
    assert main(["evaluate", *common, "--set", f"world_options={asked}"]) == 0
    assert len(set(runs.glob("imagenet-*/probe-*")) - before) == 1  # another recipe is another probe
    assert "top-images" in table(runs)["missing"]["IN-v2"]  # which is not here
    for wrong, says in [
        ("world_options={v2: nonsense}", "v2 is 'nonsense': it must be one of matched-frequency"),
        ("world_options={probe: {no_such: 3}}", "the probe has no setting 'no_such'"),
        ("world_options={probe: {batch: '12'}}", "the probe's batch is '12': it must be a whole number"),
        ("probe_images=1", "the probe learns from 1 images: it needs 2 or more"),
        ("probe_images=0", "the number of training images is 0"),
        ("probe_images='5'", "probe_images is '5': it must be a whole number"),
        ("test_images=8", "pretraining has no setting 'test_images'"),
        ("nonsense=8", "pretraining has no setting 'nonsense'"),
    ]:
        capsys.readouterr()
        assert main(["evaluate", *common, "--set", wrong]) == 2, wrong
        assert says in capsys.readouterr().err, wrong
    assert main(["evaluate", *common]) == 0  # as the others find it
