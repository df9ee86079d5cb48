"""The fault suite: `make faults`, minutes. What was tried, how often, and what happened goes into a table.

Files are named `fault_*.py`, so that the quick tests do not collect them. `--table PATH` writes the table as JSON; the
book shows it. Everything is real: processes are killed by SIGKILL, disks are full (a small tmpfs where one may be
mounted, else a limit on the size of a file), workers die under torchrun.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = (folders := [str(HERE), str(HERE.parent / "training")])
# The fork server reads it when it imports `ground`.
os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])

_ROWS: dict[tuple[str, str], Counter] = {}
_FAILED: list[str] = []
_STARTED = time.time()


def pytest_addoption(parser):
    parser.addoption("--table", type=Path, help="write what was tried and what happened to this JSON file")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def saw():
    """saw(fault, tried, outcome, times=1): count an outcome of a row of the table, once its asserts have passed."""

    def count(fault: str, tried: str, outcome: str, times: int = 1) -> None:
        _ROWS.setdefault((fault, tried), Counter())[outcome] += times

    return count


def pytest_runtest_logreport(report):
    if report.failed:
        _FAILED.append(report.nodeid)


def pytest_sessionfinish(session):
    path = session.config.getoption("--table")
    if not path or not _ROWS:
        return
    from mae_lib.provenance import provenance
    from mae_lib.training.checkpoints import write_json

    modules = ["mae_lib.training.pretrain", "mae_lib.worlds", "maebook.execute"]
    record = provenance({"tests": "tests/faults"}, modules, _STARTED, "cpu")
    held = json.loads(path.read_text()) if path.exists() else {}
    if held.get("provenance", {}).get("code_hash") != record["code_hash"]:
        held = {"rows": [], "failed": []}
    # What other files of the suite found with the same code stays, so that each may run by itself.
    rows = {(row["fault"], row["tried"]): row for row in held["rows"]}
    for (fault, tried), seen in _ROWS.items():
        rows[fault, tried] = {"fault": fault, "tried": tried, "times": sum(seen.values()), "outcomes": dict(seen)}
    ran = {item.nodeid for item in session.items}
    failed = [name for name in held["failed"] if name not in ran] + _FAILED
    write_json(path, {"rows": list(rows.values()), "failed": failed, "provenance": record})
