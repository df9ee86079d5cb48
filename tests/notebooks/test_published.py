"""A page of Section 3 opens from a fresh checkout with what is published: nothing is trained."""

import shutil
from pathlib import Path

import nbformat
import pytest
from fakes import fake_detection, fake_suggestions
from IPython.display import display

from mae_lib.claims.pages import SECTION_OF
from mae_lib.presets import load_preset, load_scale
from mae_lib.studies import better_masking, series
from mae_lib.transfer import section as detection
from maebook.execute import execute

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
OPENED = (*SECTION_OF, "3_6_suggestions")  # at the preset `book`


def test_it_runs_without_a_run_and_shows_every_seed(only_tiny, tmp_path, monkeypatch, forked):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    source = NOTEBOOKS / "3_1_reconstruction.ipynb"
    out = nbformat.read(execute(source, tmp_path / "out.ipynb", str(only_tiny)), as_version=4)
    text = "".join(str(cell.get("outputs", "")) for cell in out.cells)
    assert "Intervals are over 2 seeds" in text and "tiny, figurines, 32 images a run, 2 seeds" in text
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
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(everything))
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    return everything


@pytest.mark.parametrize("page", OPENED)
def test_no_page_trains_at_the_preset_book(page, untrained, monkeypatch):
    monkeypatch.setattr(better_masking, "discovered_tree", lambda world, **_: world.hierarchy)  # some seconds
    run(page, {"preset": "book"})


@pytest.mark.parametrize("page", SECTION_OF)
def test_a_page_opens_a_folder_of_results(page, untrained):
    run(page, {"preset": str(untrained / "tiny")})


def run(page: str, given: dict) -> None:
    """The cells of a page, one after another."""
    names = {"display": display}
    for cell in nbformat.read(NOTEBOOKS / f"{page}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, page, "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {name: value for name, value in given.items() if name in names}
