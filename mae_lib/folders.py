"""Paths of the checkout that the package runs from, of finished runs, and of published results."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The repository that contains the package, or None when it was installed without one."""
    return _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else None


def runs_folder() -> Path:
    """Where runs are kept: `$MAE_LIB_RUNS`, else `runs/` of the checkout, else `runs/` of the working folder.

    It does not depend on where a notebook is opened, so that notebooks share their runs.
    """
    if named := os.environ.get("MAE_LIB_RUNS"):
        return Path(named).expanduser().resolve()
    return (checkout() or Path.cwd()) / "runs"


def published_folder() -> Path:
    """The folder of published results: `$MAE_LIB_PUBLISHED`, else `results/` of the checkout or beside this package."""
    if named := os.environ.get("MAE_LIB_PUBLISHED"):
        return Path(named).expanduser().resolve()
    return shipped_folder()


def shipped_folder() -> Path:
    """The results shipped with this code, whatever `published_folder` is."""
    return (checkout() or _PACKAGE.parent) / "results"
