"""The run card's command gives papermill back the very parameters, and provenance says what it promises."""

import json
import shlex
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mae_lib.presets import load_preset, preset_file
from mae_lib.provenance import provenance
from mae_lib.sources import source_hash
from maebook.execute import declared_parameters
from maebook.run_card import changed, reproduce_command, run_card_html

PRESETS = sorted(path.stem for path in preset_file("laptop").parent.glob("*.yaml"))
MODULES = ["mae_lib.metrics.reconstruction"]


def as_papermill_reads(command: str, monkeypatch: pytest.MonkeyPatch) -> dict:
    """What papermill's own command line makes of `command`, run from the repository."""
    import papermill.cli

    from mae_lib.folders import checkout

    seen: dict = {}
    monkeypatch.setattr(papermill.cli, "execute_notebook", lambda **given: seen.update(given))
    monkeypatch.chdir(checkout())
    program, *arguments = shlex.split(command)
    result = CliRunner().invoke(papermill.cli.papermill, arguments)
    assert program == "papermill" and result.exit_code == 0, result.output
    return seen


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"mask_ratios": [0.1, 0.9], "seeds": [3]},
        {
            "note": 'it\'s "quoted" & $HOME `date` \\ é: #1',
            "nothing": None,
            "flag": True,
            "rate": 1e-05,
            "text": "1e-5",
        },
        {"scale": {"width": 16, "world": "digits"}},
    ],
)
def test_the_command_round_trips(preset, change, monkeypatch):
    parameters = load_preset(preset) | change
    seen = as_papermill_reads(reproduce_command(parameters, "3_1_reconstruction"), monkeypatch)
    assert seen["parameters"] == {n: v for n, v in parameters.items() if n != "scale" or n in change}
    assert seen["input_path"] == "notebooks/3_1_reconstruction.ipynb"


@pytest.mark.parametrize("scale", [{}, load_preset("gpu")["scale"]])
def test_a_scale_that_is_the_presets_is_left_to_it(scale):
    parameters = load_preset("gpu") | {"seeds": [0], "units": [8], "scale": scale}
    command = reproduce_command(parameters, "notebooks/3_0_pretraining.ipynb")
    given = "'{preset: gpu, seeds: [0], mask_ratios: [0.1, 0.25, 0.5, 0.75, 0.9], units: [8]}'"
    assert command == f"papermill notebooks/3_0_pretraining.ipynb 3_0_pretraining.out.ipynb -y {given}"


def test_an_empty_text_is_two_double_quotes():
    command = reproduce_command({"preset": "smoke", "folder": ""}, "is_my_mae_training_right")
    assert command.endswith("""-y '{preset: smoke, folder: ""}'""")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_the_command_gives_a_notebook_nothing_that_it_does_not_take(path, monkeypatch):
    declared = declared_parameters(path)
    parameters = {name: yaml.safe_load(record["default"]) for name, record in declared.items()}
    parameters |= {name: value for name, value in load_preset("smoke").items() if name in declared}
    seen = as_papermill_reads(reproduce_command(parameters, path.stem), monkeypatch)["parameters"]
    assert seen["preset"] == "smoke" and set(seen) <= set(declared)


def test_changes_are_found_and_marked():
    parameters = load_preset("laptop")
    assert changed(parameters) == changed(parameters | {"scale": {}}) == {}
    parameters["mask_ratios"] = [0.1, 0.9]
    parameters["scale"] = parameters["scale"] | {"width": 7}
    assert list(changed(parameters)) == ["mask_ratios", "scale"]
    html = run_card_html(provenance(parameters, MODULES), "3_1_reconstruction")
    assert "[0.1, 0.9] (differs from the preset)" in html and "7 (differs from the preset)" in html
    assert html.count("(differs from the preset") == 2 and "2 parameters changed" in html


def test_what_a_notebook_has_beyond_its_preset_is_no_change():
    html = run_card_html(provenance(load_preset("laptop") | {"draws": 64}, MODULES), "2_1_generating_process")
    assert "laptop, unchanged" in html and "(differs from the preset" not in html and "draws: 64" in html


def test_a_run_without_its_preset_is_refused():
    with pytest.raises(ValueError, match="`preset`"):
        changed({"seeds": [0]})
    with pytest.raises(ValueError, match="'huge' is unknown"):
        changed({"preset": "huge"})


def test_provenance_is_json_in_a_stable_order():
    parameters = {"seeds": [0, 1], "preset": "smoke"}
    first, second = (provenance(parameters, MODULES, time.time() - 5) for _ in range(2))
    assert list(first) == list(second) and json.loads(json.dumps(first)) == first
    assert first["seeds"] == [0, 1] and 5 <= first["wall_seconds"] < 60
    assert first["code_hash"] == source_hash(*MODULES)
    assert {"python", "torch", "timm", "numpy"} <= set(first["versions"])
    assert provenance({"seed": 3}, MODULES)["seeds"] == [3] and provenance({}, MODULES)["seeds"] is None


@pytest.mark.parametrize(
    ("parameters", "started", "message"),
    [({"x": object()}, None, "JSON"), ({"x": float("nan")}, None, "JSON"), ({}, 1e11, "future")],
)
def test_provenance_refuses(parameters, started, message):
    with pytest.raises(ValueError, match=message):
        provenance(parameters, MODULES, started)
