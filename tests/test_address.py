"""Addresses: settings and declared versions, and nothing else."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mae_lib.address import address, settings
from mae_lib.training import PretrainConfig
from mae_lib.worlds import make_world

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Config:
    needed: int
    ratio: float = 0.75
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Newer(Config):
    added: bool = False


def test_a_new_setting_at_its_default_changes_nothing():
    assert settings(Config(1, 0.9)) == {"needed": 1, "ratio": 0.9} == settings(Newer(1, 0.9))
    assert address(Config(1)) == address(Newer(1)) != address(Newer(1, added=True))
    assert settings(Config(1, 0.9), without="ratio") == {"needed": 1}
    assert len(address(1, digits=16)) == 16


def test_what_is_no_dataclass_is_refused():
    with pytest.raises(TypeError, match="has no address"):
        settings(Config)
    with pytest.raises(TypeError, match="has no address"):
        address(object())


def test_worlds_tell_themselves_apart_by_options_and_version(monkeypatch):
    plain, other = make_world("figurines"), make_world("figurines", classes=8)
    assert plain.address() == make_world("figurines", classes=12).address() != other.address()
    before = plain.address()
    monkeypatch.setattr(type(plain), "version", 99)
    assert plain.address() != before


def test_an_edited_docstring_and_a_moved_file_rename_no_run(tmp_path):
    """A copy of the package in which every file of the trainer says something else, and one stands elsewhere."""
    package = tmp_path / "mae_lib"
    shutil.copytree(ROOT / "mae_lib", package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*(package / "training").glob("*.py"), *(package / "worlds").glob("*.py")]:
        path.write_text(path.read_text().replace('"""', '"""Edited. ', 1) + "\n# a remark\n")
    (package / "training" / "batches.py").rename(package / "training" / "visits.py")
    for path in package.rglob("*.py"):
        path.write_text(path.read_text().replace("mae_lib.training.batches", "mae_lib.training.visits"))
    code = "from mae_lib.training import PretrainConfig as C; print(C().name, C(world='digits', mask_ratio=.9).name)"
    here = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=here, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [PretrainConfig().name, PretrainConfig(world="digits", mask_ratio=0.9).name]
