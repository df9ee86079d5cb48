"""What `make faults` and the benchmarks left in `results/`, as tables for a page: none of it is measured there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mae_lib.folders import checkout

_NO_ROOM = ["loading, images/s", "GFLOP/s", "matmul, GFLOP/s", "visible"]  # they follow from others, or matter to few
_HELD = (checkout() or Path.cwd()) / "results"


def held(name: str, folder: Path = _HELD) -> dict[str, Any]:
    """`results/<name>.json`, empty if nobody has made it."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def fault_table(faults: dict[str, Any]) -> pd.DataFrame:
    """A row for each thing that was tried, faults together: fault, what was tried, times, and what happened."""
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
    return pd.DataFrame(rows, columns=columns).sort_values("fault", kind="stable", ignore_index=True)


def _counted(outcomes: dict[str, int]) -> str:
    """One outcome as it is, several with how often each came."""
    if len(outcomes) == 1:
        return next(iter(outcomes))
    return "; ".join(f"{count} x {what}" for what, count in outcomes.items())


def speed_table(section: dict[str, Any]) -> pd.DataFrame:
    """The rows of a benchmark to three digits; the first column that varies leads, and a share, in percent, follows.

    What is the same in all rows, and what a page has no room for, is left out.
    """
    table = pd.DataFrame(section["rows"]).drop(columns=_NO_ROOM, errors="ignore")
    table = table.map(lambda value: float(f"{value:.3g}") if isinstance(value, float) else value)
    table.columns = table.columns.str.replace("_", " ")
    if "cores to feed it" in table:  # to two digits, however few the file has
        cores = table["needed, images/s"] * table["CPU ms an image"] / 1000
        table["cores to feed it"] = [f"{value:.2g}" for value in cores]
    if len(table) > 1:
        table = table.loc[:, table.nunique() > 1]
    first, *others = table.columns
    if "share" in others:
        table["share"] = [f"{row['share']:.0%}" for row in section["rows"]]
        others = ["share", *(name for name in others if name != "share")]
    return table.set_index(first)[others]


def where(record: dict[str, Any]) -> str:
    """The machine, day and company of a measurement, in a sentence, from its provenance."""
    busy = ""
    if "load_average" in record:
        busy = f", load average {record['load_average']:g} on {record['cores']} cores"
    torch = record["versions"].get("torch", "?")
    return f"Measured on {record['device']}{busy}; PyTorch {torch}; {record['finished'][:10]}."


def what_limits(kinds: dict[str, Any]) -> str:
    """The kind of operation that takes most of a step, in a sentence, from the section of `time_by_kind.py`."""
    first, second = sorted(kinds["rows"], key=lambda row: -row["share"])[:2]
    return (
        f"Largest part of a step: {first['kind']} ({first['share']:.0%}); "
        f"second largest: {second['kind']} ({second['share']:.0%})."
    )


def what_feeds(loading: dict[str, Any]) -> str:
    """Whether each way of keeping images keeps up with the step that was measured, in a sentence."""
    need = loading["rows"][0]["needed, images/s"]
    enough = [row["kept as"] for row in loading["rows"] if row["images/s"] >= need]
    starved = [row["kept as"] for row in loading["rows"] if row["images/s"] < need]
    said = f"Training consumes {need:,g} images/s ({loading['provenance']['parameters']['need']}). "
    said += f"Fast enough: {'; '.join(enough) or 'none'}. "
    return said + (f"Too slow, so that loading limits the step: {'; '.join(starved)}." if starved else "")


def what_reaches(step: dict[str, Any], bar: float = 0.5) -> str:
    """The shares of the matmul rate that a model reaches over its rows, against a bar, in a sentence."""
    low, high = (pick(row["share"] for row in step["rows"]) for pick in (min, max))
    shares = f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%}"
    word, some = "reaches" if high >= bar else "does not reach", " at some ratios only" if low < bar <= high else ""
    product = np.median([row["matmul, GFLOP/s"] for row in step["rows"]])
    rate = f"the rate of one large product ({product:.0f} GFLOP/s)"
    return f"A step multiplies at {shares} of {rate}: it {word} {bar:.0%}{some}."


def what_width(widths: dict[str, Any], bar: float = 0.5) -> str:
    """From which width on a model reaches a bar of the matmul rate, in a sentence, from rows of growing width."""
    step = f"a step at ratio {widths['rows'][0]['ratio']:g}"
    below = [row["width"] for row in widths["rows"] if row["share"] < bar]
    above = [row["width"] for row in widths["rows"] if row["width"] > max(below, default=0)]
    if not above:
        return f"At none of these widths {step} reaches {bar:.0%} of the rate of one large product."
    least = min(above)
    tried = f"; at {max(below)} it does not" if below else ""
    return f"From width {least} on, {step} reaches {bar:.0%} of the rate of one large product{tried}."


def what_grows(growth: dict[str, Any]) -> str:
    """What the change that costs the most memory, and the one that costs the most work, do, in a sentence."""
    first, *others = growth["rows"]
    names = ("image_size", "patch", "mask_ratio", "batch")

    def change(row: dict[str, Any]) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {row[name]}" for name in names if row[name] != first[name])

    said = []
    for key, what in (("GFLOP an image", "work per image"), ("peak MiB", "peak memory")):
        most = max(others, key=lambda row: row[key])
        said.append(f"{what} grows most, {most[key] / first[key]:.1f} times, with {change(most)}")
    return f"Compared with the first row, {'; '.join(said)}."
