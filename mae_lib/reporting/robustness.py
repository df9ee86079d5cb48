"""What `make faults` and the benchmarks left in `results/`, as tables for a page: none of it is measured there."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from mae_lib.folders import checkout

_HELD = (checkout() or Path(__file__).resolve().parents[1]) / "results"


def held(name: str, folder: Path = _HELD) -> dict[str, Any]:
    """`results/<name>.json`, empty if nobody has made it."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def fault_table(faults: dict[str, Any]) -> pd.DataFrame:
    """A row for each thing that was tried: fault, tried, times, and what happened, how often."""
    rows = [
        {
            "fault": row["fault"],
            "what was tried": row["tried"],
            "times": row["times"],
            "what happened": _counted(row["outcomes"]),
        }
        for row in faults["rows"]
    ]
    columns = ["fault", "what was tried", "times", "what happened"]
    return pd.DataFrame(rows, columns=columns).sort_values("fault", kind="stable").set_index(columns[:2])


def _counted(outcomes: dict[str, int]) -> str:
    """One outcome as it is, several with how often each came."""
    if len(outcomes) == 1:
        return next(iter(outcomes))
    return "; ".join(f"{count} x {what}" for what, count in outcomes.items())


def speed_table(section: dict[str, Any]) -> pd.DataFrame:
    """The rows of a benchmark to two decimals; the first column leads, and a share, in percent, follows it."""
    table = pd.DataFrame(section["rows"]).round(2)
    first, *others = table.columns
    if "share" in others:
        table["share"] = [f"{row['share']:.0%}" for row in section["rows"]]
        others = ["share", *(name for name in others if name != "share")]
    return table.set_index(first)[others]


def where(record: dict[str, Any]) -> str:
    """The machine, day and company of a measurement, in a sentence, from its provenance."""
    busy = ""
    if "load_average" in record:
        busy = f", with {record['load_average']:g} processes at work on {record['cores']} cores"
    torch = record["versions"].get("torch", "?")
    return f"Measured on {record['device']}{busy}; PyTorch {torch}; {record['finished'][:10]}."
