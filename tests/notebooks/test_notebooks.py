"""Each notebook is clean, typed, and takes its preset; a bad parameter or a failing cell leaves nothing half-done."""

import ast
import hashlib
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from mae_lib.presets import PRESETS, load_preset, preset_file
from mae_lib.sources import source_hash
from mae_lib.worlds import make_world
from mae_lib.worlds.world import need_latents
from maebook.bundles import RUN, VERDICT, bundles
from maebook.execute import NotebookError, check_parameters, declared_parameters, execute, lists, mapped

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CONTENTS = (ROOT / "book" / "_toc.yml").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestEachNotebook:
    def test_it_is_stored_without_outputs(self, path):
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in cells)

    def test_its_parameters_are_typed_and_explained(self, path):
        for name, record in declared_parameters(path).items():
            assert record["inferred_type_name"] in {"int", "float", "str", "bool", "list", "dict"}, name
            assert record["help"], f"{name} has no comment"

    @pytest.mark.parametrize("preset", PRESETS)
    def test_it_takes_every_preset(self, path, preset):
        declared = declared_parameters(path)
        check_parameters(path, {k: v for k, v in load_preset(preset).items() if k in declared})

    def test_its_defaults_are_those_of_its_preset(self, path):
        defaults = {name: yaml.safe_load(record["default"]) for name, record in declared_parameters(path).items()}
        assert defaults.get("preset", "laptop") in ("laptop", "book")
        preset = load_preset(defaults.get("preset", "laptop"))
        for name in (preset.keys() & defaults.keys()) - {"scale"}:  # which holds overrides, none by default
            assert defaults[name] == preset[name]

    def test_it_is_in_the_book(self, path):
        assert f"experiments/{path.stem}\n" in CONTENTS

    def test_it_opens_with_one_title(self, path):
        cells = nbformat.read(path, as_version=4).cells
        titles = [i for i, c in enumerate(cells) if c.cell_type == "markdown" and re.search("^# ", c.source, re.M)]
        assert titles == [0]

    def test_what_its_code_says_has_no_formula(self, path):
        """An output's Markdown knows no mathematics: a dollar would stand in the page."""
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        calls = [node for source in cells for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        said = [node for node in calls if getattr(node.func, "id", "") in ("Markdown", "say", "show_answer")]
        texts = [part.value for call in said for part in ast.walk(call) if isinstance(part, ast.Constant)]
        assert not [text for text in texts if isinstance(text, str) and "$" in text]


def test_at_most_half_of_the_code_is_folded():
    cells = [cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    folded = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
    assert 2 * sum(bool(folded & {*cell.metadata.get("tags", ())}) for cell in cells) <= len(cells)


KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(path: Path, *cells: str) -> Path:
    book = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    tagged = nbformat.v4.new_code_cell(
        "steps: int = 3  # how many\nratio: float = 0.5  # of what", metadata={"tags": ["parameters"]}
    )
    book.cells = [tagged, *map(nbformat.v4.new_code_cell, cells)]
    nbformat.write(book, path)
    return path


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepz": 1}, "no parameter 'stepz': choose among steps, ratio"),
        ({"steps": 1.5}, "steps of mine.ipynb takes an int, not 1.5"),
        ({"steps": True}, "takes an int, not True"),
        ({"ratio": "half"}, "takes a float, not 'half'"),
    ],
)
def test_bad_parameters_are_refused_before_anything_runs(tmp_path, given, message):
    source = notebook(tmp_path / "mine.ipynb", f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(NotebookError, match=message):
        execute(source, tmp_path / "out.ipynb", parameters=given)
    assert {p.name for p in tmp_path.iterdir()} == {"mine.ipynb"}


def test_parameters_reach_the_cells_and_a_whole_number_is_a_float(tmp_path, forked):
    source = notebook(tmp_path / "mine.ipynb", "print(steps * ratio)")
    out = nbformat.read(execute(source, tmp_path / "deep" / "out.ipynb", parameters={"ratio": 2}), as_version=4)
    assert out.cells[-1].outputs[0].text == "6\n"
    assert "remove-cell" in out.cells[1].metadata.tags and "papermill" not in out.metadata


def test_a_preset_of_ones_own_is_known_by_its_file(tmp_path, forked):
    text = Path(preset_file("smoke")).read_text().replace("preset: smoke", "preset: mine")
    (tmp_path / "mine.yaml").write_text(text)
    source = notebook(tmp_path / "page.ipynb", "print(preset)")
    book = nbformat.read(source, as_version=4)
    book.cells[0].source = 'preset: str = "laptop"  # which'
    nbformat.write(book, source)
    for given, seen in ((tmp_path / "mine.yaml", str(tmp_path / "mine.yaml")), ("smoke", "smoke")):
        out = nbformat.read(execute(source, tmp_path / "out.ipynb", str(given)), as_version=4)
        (run,) = bundles(out, RUN)
        assert out.cells[-2].outputs[0].text == f"{seen}\n" and run["parameters"]["preset"] == seen


JUDGED = """from maebook.verdict_box import judge

judge("figure-4", [{"successes": 3, "trials": 3}])
judge("loss-is-equation-2", None)"""


def test_what_a_page_decides_is_kept_with_what_it_ran_on(tmp_path, monkeypatch, forked):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    source = notebook(tmp_path / "page.ipynb", JUDGED)
    book = nbformat.read(source, as_version=4)
    book.cells[0].source += '\npreset: str = "laptop"  # which'
    nbformat.write(book, source)
    out = nbformat.read(execute(source, tmp_path / "out.ipynb", "smoke", {"ratio": 0.25}), as_version=4)
    kept = json.loads((tmp_path / "runs" / "verdicts" / "smoke" / "page.json").read_text())
    (run,) = bundles(out, RUN)
    assert kept == {"verdicts": bundles(out, VERDICT), "provenance": run}
    assert [one["verdict"] for one in kept["verdicts"]] == ["supported", "not run"]
    assert run["parameters"] == {"steps": 3, "ratio": 0.25, "preset": "smoke"}
    assert run["cells_hash"] == hashlib.sha256(f"{book.cells[0].source}\n{JUDGED}".encode()).hexdigest()[:16]
    assert run["code_hash"] == source_hash("maebook.verdict_box") and run["device"].startswith("cpu: ")
    assert "remove-input" in out.cells[-1].metadata.tags and "Run card" in out.cells[-1].outputs[0].data["text/html"]
    book.cells[1].source = JUDGED.replace("loss-is-equation-2", "figure-4")
    nbformat.write(book, source)
    with pytest.raises(ValueError, match="more than one verdict"):
        execute(source, tmp_path / "out.ipynb", "smoke")
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4) == out


def test_a_failing_cell_is_named_and_the_last_good_output_stays(tmp_path, forked):
    good = notebook(tmp_path / "mine.ipynb", "print('good')")
    output = execute(good, tmp_path / "out.ipynb")
    before = output.read_bytes()
    notebook(tmp_path / "mine.ipynb", "x = 1", "raise RuntimeError('the third cell')")
    with pytest.raises(NotebookError, match=r"mine\.ipynb failed in cell 2 .*RuntimeError: the third cell"):
        execute(tmp_path / "mine.ipynb", output)
    assert output.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"mine.ipynb", "out.ipynb", "out.failed.ipynb"}


def test_what_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "text.ipynb").write_text("not json")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "plain.ipynb")
    (tmp_path / "latin.ipynb").write_bytes(b'{"a": "\xff"}')
    (tmp_path / "new.ipynb").write_text('{"nbformat": 9, "metadata": {}, "cells": []}')
    (tmp_path / "odd.ipynb").write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}')
    said = dict.fromkeys(("text", "latin", "new", "odd"), "is not a notebook")
    for name, message in (("none", "does not exist"), ("plain", "no cell tagged"), *said.items()):
        with pytest.raises(NotebookError, match=message):
            declared_parameters(tmp_path / f"{name}.ipynb")


def saved_with(path: Path, **kernel: str) -> Path:
    """A notebook as `notebook` makes it, saved with another kernel."""
    book = nbformat.read(notebook(path), as_version=4)
    book.metadata["kernelspec"] = {"name": "", "display_name": "", **kernel}
    nbformat.write(book, path)
    return path


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ({"name": "mae-env", "language": "python"}, r"kernel 'mae-env' is not installed here; .* \(.*python3.*\)"),
        ({"name": "ir", "language": "R"}, "is written in R: only Python notebooks can be run"),
        ({"name": ""}, "names no kernel: open it in Jupyter with a Python kernel and save it"),
    ],
)
def test_a_kernel_that_is_not_here_is_named(tmp_path, kernel, message):
    mine = saved_with(tmp_path / "mine.ipynb", **kernel)
    with pytest.raises(NotebookError, match=message):
        execute(mine, tmp_path / "out.ipynb")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.ipynb"}


def command(*argv: str) -> str:
    return json.dumps({"argv": argv, "display_name": "old", "language": "python"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (command("/gone/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"), "/gone/python: No such file"),
        (command("/gone/wrapper", "-f", "{connection_file}"), "cannot be started: /gone/wrapper: No such file"),
        (command("/", "-f", "{connection_file}"), "cannot be started: /: Permission denied"),
        (command("false"), "before its first cell: its kernel did not start .*died"),
        (command(), "has no command"),
        ("{", "kernel.json of its kernel is damaged"),
        (json.dumps({"argv": 3}), "kernel.json of its kernel is damaged"),
    ],
)
def test_a_kernel_that_does_not_start_says_why(tmp_path, monkeypatch, spec, message):
    place = tmp_path / "kernels" / "odd"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(spec)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    mine = saved_with(tmp_path / "mine.ipynb", name="odd", language="python")
    with pytest.raises(NotebookError, match=message):
        execute(mine, tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


def test_a_list_may_come_as_text():
    assert list(lists(noises="[0.0, 0.1]", seeds=[3])) == [[0.0, 0.1], [3]]
    for given in ("0.1", [], "[", 3):
        with pytest.raises(ValueError, match="noises is"):
            list(lists(noises=given))
    for wrong in (1.5, 0, "abc"):
        with pytest.raises(ValueError, match=f"mask_ratios holds {wrong!r}: each must be a number between 0 and 1"):
            list(lists(mask_ratios=[0.5, wrong]))


def test_every_page_with_a_list_takes_it_as_text():
    for page in NOTEBOOKS:
        code = [cell.source for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "code"]
        given = [name for name, one in declared_parameters(page).items() if one["inferred_type_name"] == "list"]
        if given and not any("open_study(" in cell for cell in code):  # which reads them itself
            read = next(cell for cell in code if "= lists(" in cell)
            assert all(f"{name}={name}" in read for name in given), page.name


def test_a_mapping_may_come_as_text():
    assert (
        mapped("scale", "{width: 96}") == mapped("scale", {"width": 96}) == {"width": 96} and mapped("scale", {}) == {}
    )
    for given in ("0.1", [], "{", 3):
        with pytest.raises(ValueError, match="scale is"):
            mapped("scale", given)


def test_a_page_about_latents_refuses_a_world_without():
    need_latents(make_world("figurines"))
    with pytest.raises(ValueError, match="photographs has none: run it at preset laptop"):
        need_latents(make_world("photographs"))
