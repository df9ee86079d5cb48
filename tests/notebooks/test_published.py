"""A page of Section 3 opens from a fresh checkout with what is published: nothing is trained."""

import shutil
from pathlib import Path

import nbformat
import pytest
from fakes import fake_detection, fake_suggestions
from IPython.display import display

from mae_lib.metrics import training_cost
from mae_lib.presets import load_preset, load_scale
from mae_lib.studies import series
from mae_lib.transfer import section as detection
from maebook.execute import declared_parameters, execute

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PAGES = (
    "3_0_calibration",
    "3_3_separability",
    "3_4_shape_bias",
    "3_5_transfer",
    "3_6_boundary",
    "3_6_structure",
    "3_6_extremes",
)
STUDIES = ("3_0_pretraining", "3_1_reconstruction", "3_2_attention")  # their preset may be a folder of results
# What a page computes itself, little of it.
LITTLE = {"3_6_structure": {"sample_sizes": "[150]", "noises": "[0.0]", "repeats": 1}}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_section_3_takes_published_results_and_does_not_by_default(page):
    assert declared_parameters(NOTEBOOKS / f"{page}.ipynb")["use_published"]["default"] == "False"


def test_it_runs_without_a_run_and_shows_every_seed(only_tiny, tmp_path, monkeypatch, forked):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    source = NOTEBOOKS / "3_1_reconstruction.ipynb"
    out = nbformat.read(execute(source, tmp_path / "out.ipynb", str(only_tiny)), as_version=4)
    text = "".join(str(cell.get("outputs", "")) for cell in out.cells)
    assert "Intervals are over 2 seeds" in text and "tiny, 32 images a run, 2 seeds" in text
    assert not list((tmp_path / "runs").glob("figurines-*"))


@pytest.fixture(scope="module")
def everything(published_tiny, tmp_path_factory) -> Path:
    """Published results of every page at the scale of `tiny`."""
    folder = tmp_path_factory.mktemp("everything")
    shutil.copytree(published_tiny, folder / "tiny")
    scale = load_preset(published_tiny / "preset.yaml")["scale"]
    fake_detection(folder / "tiny", load_scale("smoke") | scale)
    fake_suggestions(folder / "suggestions", scale=scale)
    return folder


@pytest.fixture
def untrained(everything, tmp_path, monkeypatch) -> Path:
    """`everything`, published; training is an error."""

    def trained(*_, **__):
        raise AssertionError("something is trained")

    monkeypatch.setattr(series, "pretrain", trained)
    monkeypatch.setattr(detection, "finetune", trained)
    monkeypatch.setattr(training_cost, "step_cost", lambda *_: training_cost.StepCost(1.0, (1.0,), None))
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(everything))
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    return everything


@pytest.mark.parametrize("page", PAGES)
def test_no_page_trains_what_is_published(page, untrained):
    """Lists come as text, as from papermill -p."""
    held = load_preset(untrained / "tiny" / "preset.yaml")
    preset = str(untrained / "tiny" / "preset.yaml") if page == "3_6_structure" else "smoke"  # it takes no scale
    given = {"preset": preset, "scale": held["scale"], "use_published": True} | LITTLE.get(page, {})
    run(page, given | {name: str(held[name]) for name in ("seeds", "mask_ratios", "units")})


@pytest.mark.parametrize("preset", ["book", "a folder"])
@pytest.mark.parametrize("page", STUDIES)
def test_no_study_trains_what_is_published(page, preset, untrained):
    run(page, {"preset": preset if preset == "book" else str(untrained / "tiny")})


def run(page: str, given: dict) -> None:
    """The cells of a page, one after another."""
    names = {"display": display}
    for cell in nbformat.read(NOTEBOOKS / f"{page}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, page, "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {name: value for name, value in given.items() if name in names}
