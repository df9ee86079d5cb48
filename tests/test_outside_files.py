"""Files from outside are data: nothing in the package unpickles, evaluates or lets a name in a file choose a path."""

import ast
import re
from pathlib import Path

import pytest
import torch
import yaml

from mae_lib.presets import load_preset, opens_published, parse_yaml, preset_word
from mae_lib.worlds import make_world, rendered

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / "mae_lib").rglob("*.py"), *(ROOT / "book" / "maebook").rglob("*.py")])
RUNS_CODE = re.compile(r"pickle|cloudpickle|dill|joblib|shelve|marshal")


def calls(tree: ast.AST) -> list[tuple[str, set[str], set[str]]]:
    """Dotted names that are called, with the arguments given by name, and those of them that are True."""
    found = []
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        true = {k.arg for k in node.keywords if isinstance(k.value, ast.Constant) and k.value.value is True}
        found.append((ast.unparse(node.func), {k.arg for k in node.keywords}, true))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_reads_what_could_run(path):
    tree = ast.parse(path.read_text())
    modules = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    named = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    # The error that torch's safe loader raises is all that may be taken from pickle.
    modules |= {node.module for node in named if [a.name for a in node.names] != ["UnpicklingError"]}
    assert not [name for name in modules if RUNS_CODE.fullmatch(name.split(".")[0])]
    for name, given, true in calls(tree):
        # The book's own exercises and live cells are run; they come with the repository, not from outside.
        own = {"book/maebook/teaching/execution.py", "book/maebook/explorer/live.py"}
        allowed = {"exec"} if path.relative_to(ROOT).as_posix() in own else set()
        assert name not in {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"} - allowed, name
        assert "allow_pickle" not in true, name
        # Pillow tries every decoder that it has; from outside a few will do. Scikit-image's are its own.
        if name == "Image.open" and path.relative_to(ROOT).as_posix() != "mae_lib/worlds/real.py":
            assert "formats" in given, "Image.open must say formats="
        if name in {"torch.load", "torch.serialization.load"}:
            assert "weights_only" in true, f"{name} must say weights_only=True"


def test_a_tag_in_yaml_makes_no_object(tmp_path):
    for text in ("!!python/object/apply:os.system [echo]", "a: !!python/name:os.system", "!!python/tuple [1]"):
        with pytest.raises(ValueError, match=r"mine is not YAML: could not determine a constructor"):
            parse_yaml(text, "mine")


@pytest.mark.parametrize("text", ["a: [", "{", "2001-99-99", "\x00", "[" * 5000, b"\xff\xfe\xfa"])
def test_what_is_no_yaml_is_one_line(text):
    with pytest.raises(ValueError, match=r"\Amine is not YAML: [^\n]*\Z"):
        parse_yaml(text, "mine")


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/b", "..", "", 3, None, "a\nb"])
def test_a_preset_may_not_name_a_folder_outside(tmp_path, name):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(load_preset("smoke") | {"preset": name}))
    with pytest.raises(ValueError, match="it must be a word, for it names folders"):
        load_preset(path)


def test_a_preset_of_ones_own_goes_by_the_name_of_its_file():
    assert preset_word("/somewhere/mine.yaml") == "mine" and preset_word("laptop") == "laptop"


def test_a_folder_of_results_is_a_preset_that_trains_nothing(tmp_path):
    folder = tmp_path / "v1.2"
    folder.mkdir()
    (folder / "preset.yaml").write_text(yaml.safe_dump(load_preset("laptop")))
    assert preset_word(folder) == "v1.2" and load_preset(folder) == load_preset("laptop")
    assert opens_published(folder) and opens_published("book") and not opens_published("laptop")


def test_a_spoilt_file_of_images_is_drawn_again(tmp_path):
    world = make_world("figurines", size=32)
    known = rendered(world, "train", 5, tmp_path).clone()
    file = next(tmp_path.glob("*.npy"))
    whole = file.read_bytes()
    for content in (b"", whole[:50], whole[:-1], b"\x80\x04not an array"):
        file.write_bytes(content)
        assert torch.equal(rendered(world, "train", 5, tmp_path), known)
    assert file.read_bytes() == whole
