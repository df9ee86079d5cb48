"""A page of Section 3 opens from a fresh checkout with what is published: nothing is trained."""

from pathlib import Path

import nbformat
import pytest

from mae_lib.presets import load_preset
from mae_lib.reporting.notebooks import NotebookError, declared_parameters, execute

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PAGES = (
    "3_0_calibration",
    "3_0_pretraining",
    "3_1_reconstruction",
    "3_2_attention",
    "3_3_separability",
    "3_4_shape_bias",
)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_section_3_takes_published_results_and_does_not_by_default(page):
    assert declared_parameters(NOTEBOOKS / f"{page}.ipynb")["use_published"]["default"] == "False"


def test_it_runs_without_a_run_and_shows_every_seed(only_tiny, tiny_preset, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    tiny = load_preset(tiny_preset)
    given = {name: tiny[name] for name in ("seeds", "mask_ratios", "units", "scale")} | {"use_published": True}
    source = NOTEBOOKS / "3_1_reconstruction.ipynb"
    out = nbformat.read(execute(source, tmp_path / "out.ipynb", "smoke", given), as_version=4)
    text = "".join(str(cell.get("outputs", "")) for cell in out.cells)
    assert "Intervals are over 2 seeds" in text and "tiny, 32 images a run, 2 seeds" in text
    assert not list((tmp_path / "runs").glob("figurines-*"))
    with pytest.raises(NotebookError, match=r"published are tiny\); in tiny width is 16 there, not 32"):
        execute(source, tmp_path / "other.ipynb", "smoke", given | {"scale": tiny["scale"] | {"width": 32}})
