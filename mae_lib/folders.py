"""Where things lie: the checkout that the package runs from, finished runs, and published results."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The repository that the package stands in, or None when it was installed without one."""
    return _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else None


def runs_folder() -> Path:
    """Where runs are kept: `$MAE_LIB_RUNS`, else `runs/` of the checkout, else `runs/` of the working folder.

    It is the same folder wherever a notebook is opened from, so that what one has trained the next one finds.
    """
    if named := os.environ.get("MAE_LIB_RUNS"):
        return Path(named).expanduser().resolve()
    return (checkout() or Path.cwd()) / "runs"


def published_folder() -> Path:
    """Where published results lie: `$MAE_LIB_PUBLISHED`, else `results/` of the checkout or beside this package."""
    if named := os.environ.get("MAE_LIB_PUBLISHED"):
        return Path(named).expanduser().resolve()
    return shipped_folder()


def shipped_folder() -> Path:
    """The results that come with this code, wherever else published ones may lie."""
    return (checkout() or _PACKAGE.parent) / "results"
