"""Which files a result depends on, read from the text."""

import subprocess
import sys
from pathlib import Path

import pytest

from mae_lib import sources

ROOT = Path(sources.__file__).parent


def test_the_closure_holds_what_an_import_really_loads():
    code = "import sys, maebook.execute; print(*(m for m in sys.modules if m.split('.')[0] in ('mae_lib', 'maebook')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    files = {sources.module_file(name) for name in loaded}
    assert files <= set(sources.source_files("maebook.execute"))


def test_a_change_in_an_imported_file_changes_the_hash(tmp_path, monkeypatch):
    package = tmp_path / "mae_lib"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room" / "__init__.py").write_text("")
    (package / "room" / "a.py").write_text("def f():\n    from mae_lib.room.b import g\n    return g")
    (package / "room" / "b.py").write_text("g = 1")
    (package / "room" / "c.py").write_text("h = 1")
    monkeypatch.setattr(sources, "_CHECKOUT", tmp_path)
    monkeypatch.setitem(sources._PARENTS, "mae_lib", tmp_path)
    sources._imports.cache_clear()
    before = sources.source_hash("mae_lib.room.a")
    (package / "room" / "c.py").write_text("h = 2")
    assert sources.source_hash("mae_lib.room.a") == before
    (package / "room" / "b.py").write_text("g = 2")
    assert sources.source_hash("mae_lib.room.a") != before
    without = sources.source_hash("mae_lib.room.a", without="room")
    (package / "room" / "b.py").write_text("g = 3")
    sources._imports.cache_clear()
    assert sources.source_hash("mae_lib.room.a", without="room") == without
    sources._imports.cache_clear()


def test_an_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"mae_lib\.nothing"):
        sources.source_files("mae_lib.nothing")


def test_code_of_a_notebook():
    files = sources.source_files(*sources.modules_of_code("from mae_lib.presets import load_preset\nimport numpy"))
    assert ROOT / "presets.py" in files and ROOT / "randomness.py" not in files


def test_code_that_a_notebook_only_shows():
    said = 'show_source("mae_lib.training.mae:MAE.encode")\nprint("mae_lib.nothing: text", "mae_lib.theory")'
    assert sources.modules_of_code(said) == ["mae_lib.training.mae"]
