"""The walls of the house: which room may import which, and files that must say the same."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from mae_lib.presets import PRESETS, load_preset, load_scale, series

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# A room imports from rooms on its left. `maebook`, beside the package, may use all of it, and nothing here knows it.
ROOMS = ("theory", "worlds", "data", "training", "metrics", "limits", "claims", "studies", "transfer", "imagenet")
APART = {"worlds": {"data"}, "limits": {"metrics"}, "imagenet": {"transfer"}}  # of its left, what a room does not use
HALL = {path.stem for path in (ROOT / "mae_lib").glob("*.py") if path.stem != "__main__"}
SCIENCE = sorted((ROOT / "mae_lib").rglob("*.py"))
BOOK = sorted((ROOT / "book" / "maebook").rglob("*.py"))
DRAWING = {"matplotlib", "seaborn", "IPython", "docutils", "sphinx", "nbformat", "papermill", "bs4"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide which room is meant"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SCIENCE, ids=ids)
def test_a_room_imports_from_its_left_only(path):
    room = path.relative_to(ROOT / "mae_lib").parts[0]
    used = {name.split(".")[1] for name in imports(path) if name.startswith("mae_lib.")}
    if room in ROOMS:
        assert used <= {*ROOMS[: ROOMS.index(room) + 1]} - APART.get(room, set()) | HALL
    elif path.stem != "__main__":  # the hall stands left of every room
        assert used <= HALL


@pytest.mark.parametrize("path", SCIENCE, ids=ids)
def test_the_science_knows_no_page_and_draws_nothing(path):
    assert not {name.split(".")[0] for name in imports(path)} & {"maebook", *DRAWING}


@pytest.mark.parametrize("path", [*SCIENCE, *BOOK], ids=ids)
def test_what_another_file_uses_has_a_public_name(path):
    own = ("mae_lib.", "maebook.")
    assert not {name for name in imports(path) if name.startswith(own) and name.rpartition(".")[2][0] == "_"}


def test_every_room_has_its_place_in_the_order():
    assert {path.parent.name for path in (ROOT / "mae_lib").glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("path", sorted((ROOT / "mae_lib" / "theory").glob("*.py")), ids=lambda p: p.stem)
def test_theory_needs_numpy_and_networkx_only(path):
    import sys

    outside = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
    assert outside <= {"numpy", "networkx", "mae_lib"}


def requirement(text: str) -> str:
    return re.split(r"[<>=!~\[; ]", text)[0].lower().replace("_", "-")


def test_constraints_pin_every_direct_dependency():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {requirement(line) for line in lines if "==" in line}
    wanted = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    assert {requirement(name) for names in wanted for name in names} - {"mae-lib"} <= pinned


def test_conda_environment_is_in_step_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert f"python{PROJECT['requires-python']}" in environment
    pip = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    assert pip == ["-c constraints.txt", "-e .[dev]"] and "dev" in PROJECT["optional-dependencies"]


def test_binder_installs_notebooks_alone_at_the_pins():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert lines[-2:] == ["-c ../constraints.txt", ".[notebooks]"] and "notebooks" in PROJECT["optional-dependencies"]
    version = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert version in minors()


def minors() -> list[str]:
    """The versions of Python that `requires-python` admits: "3.11" and so on."""
    low, high = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups())
    return [f"3.{minor}" for minor in range(low, high)]


def test_every_place_names_the_same_versions_of_python():
    versions = minors()
    said = f"Python {', '.join(versions[:-1])} or {versions[-1]}"
    for file in ("README.md", "book/run_it.md", "book/troubleshooting.md", "book/teaching/guide.md"):
        assert said in (ROOT / file).read_text(), file
    assert said in (ROOT / "book" / "maebook" / "teaching" / "editions.py").read_text()
    classified = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: 3." in line]
    assert classified == versions
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert set(re.findall(r'python-version: "(.*)"', workflow.read_text())) <= set(versions), workflow
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"--python-version (\S+)", makefile) == versions[:1]
    assert set(re.findall(r"PYTHON=python(\S+?)[, ]", makefile)) <= set(versions)


def test_the_package_names_the_repository_that_the_citation_names():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text()).get("repository-code")
    assert PROJECT["urls"].get("Repository") == cited


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_whole_and_alike(name):
    preset = load_preset(name)
    assert preset["preset"] == name
    optional = {"snapshots", "probe_concepts", "supervised_images"}  # that the code has an answer without
    wanted = set(load_preset("laptop")["scale"])
    if "detection_data" not in preset["scale"]:  # a preset may leave Section 3.5 out, then wholly
        wanted = {key for key in wanted if not key.startswith("detection_")}
    assert set(preset["scale"]) - optional == wanted


def test_every_preset_file_has_a_name():
    assert {path.stem for path in (ROOT / "notebooks" / "presets").glob("*.yaml")} == set(PRESETS)


def test_series_are_the_papers_seven_pretrainings():
    masks = series(load_preset("laptop"))
    assert len(masks) == len(set(masks)) == 7
    assert series({**load_preset("laptop"), "seeds": [0, 1]})[7:] == [(r, u, 1) for r, u, _ in masks]


def test_preset_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="'laptp' is unknown: choose one of book, smoke, laptop, longer"):
        load_preset("laptp")
    (tmp_path / "mine.yaml").write_text("preset: mine")
    with pytest.raises(ValueError, match=r"mine\.yaml is not a preset"):
        load_preset(tmp_path / "mine.yaml")
    with pytest.raises(ValueError, match="scale has no entry 'widht'"):
        load_scale("smoke", {"widht": 3})
    assert load_scale("smoke", {"width": 3})["width"] == 3
