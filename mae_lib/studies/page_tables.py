"""What a page trains beside the series, published as a table that it opens at the preset `book`.

    python -m mae_lib table theorem_2 --out results

writes theorem_2.csv, and theorem_2.json, which says how it was made.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mae_lib.limits.theorem_2 import measured_identification, size_of
from mae_lib.presets import load_preset
from mae_lib.provenance import provenance
from mae_lib.studies.contrastive import mean_scores, measured_encoders
from mae_lib.studies.learned_levels import measured_levels, measured_tokens
from mae_lib.studies.observers import measured_observers
from mae_lib.studies.schedules import measured_schedules
from mae_lib.training.checkpoints import read_json, write_files, write_json
from mae_lib.training.engine import TRAINER_VERSION

Measure = Callable[..., pd.DataFrame]  # of preset, seeds and device


@dataclass(frozen=True)
class Table:
    """How a table is measured, and the module whose code its numbers depend on."""

    measure: Measure
    module: str
    goes_on: bool = False  # it takes hours: `measure` takes the rows that are there too, and trains the others


TABLES = {
    "theorem_2": Table(lambda p, seeds, _: measured_identification(seeds, *size_of(p)), "mae_lib.limits.theorem_2"),
    "levels": Table(measured_levels, "mae_lib.studies.learned_levels"),
    "tokens": Table(measured_tokens, "mae_lib.limits.token_model"),
    "observers": Table(measured_observers, "mae_lib.studies.observers"),
    "contrastive": Table(lambda *given: mean_scores(measured_encoders(*given)), "mae_lib.studies.contrastive"),
    "schedules": Table(measured_schedules, "mae_lib.studies.schedules", goes_on=True),
}


def publish_table(
    name: str, preset: str | Path, out: str | Path, seeds: list[int] | None = None, device: str | None = None
) -> Path:
    """Train and measure what is missing of one of `TABLES`, and write NAME.csv and NAME.json into the folder `out`.

    A table of hours keeps the rows that the folder has of the same scale, by the same trainer.
    """
    started, out, parameters = time.time(), Path(out), load_preset(preset)
    parameters |= {} if seeds is None else {"seeds": seeds}
    there = (_there(out, name, parameters["scale"]),) if TABLES[name].goes_on else ()
    table = TABLES[name].measure(preset, parameters["seeds"], device, *there)
    record = provenance(parameters, (TABLES[name].module,), started, device)
    write_json(out / f"{name}.json", record | {"trainer": TRAINER_VERSION})
    write_files({out / f"{name}.csv": table.to_csv(index=False, float_format="%.6g").encode()})
    return out / f"{name}.csv"


def _there(out: Path, name: str, scale: dict) -> pd.DataFrame | None:
    """The rows of an earlier call, where they are of this scale and by this trainer."""
    if not (out / f"{name}.json").is_file():
        return None
    record = read_json(out / f"{name}.json")
    alike = record["parameters"]["scale"] == scale and record["trainer"] == TRAINER_VERSION
    return pd.read_csv(out / f"{name}.csv") if alike else None
