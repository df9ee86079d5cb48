"""Where the benchmarks leave their figures: one JSON file with a section for each, which the book shows.

A section holds rows and their provenance: machine, versions, date, and how busy the machine was, for a figure that was
taken beside other work is no figure of the machine alone.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mae_lib.provenance import provenance
from mae_lib.training.checkpoints import write_json


def record(path: Path | None, section: str, rows: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> None:
    """Put a section into the file at `path`, in the place of an older one; nothing without a path."""
    if path is None:
        return
    about = provenance(parameters, ["mae_lib.training.pretrain"], device=parameters.get("device", "cpu"))
    busy = {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[1], 1)}  # runnable processes, five minutes
    held = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, held | {section: {"rows": list(rows), "provenance": about | busy}})


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as text, a column for each key, numbers to three figures."""
    cells = [[str(key) for key in rows[0]]]
    cells += [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]))]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths)) for line in cells)
