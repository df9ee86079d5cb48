"""What pages train besides the series, published as tables that they open at the preset `book`.

    python -m mae_lib table theorem_2 --out results

writes `theorem_2.csv`, and `theorem_2.json`, its provenance. Long computations are written seed by seed, and the same
command resumes after a kill, or adds seeds; `wall_seconds` is `null` until the last seed is in.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mae_lib.limits.theorem_2 import measured_identification, size_of
from mae_lib.presets import load_preset
from mae_lib.provenance import provenance
from mae_lib.studies.contrastive import mean_scores, measured_encoders
from mae_lib.studies.learned_levels import measured_levels, measured_tokens
from mae_lib.studies.observers import measured_observers
from mae_lib.studies.publish import different
from mae_lib.studies.schedules import SCHEDULES, measured_curves, measured_schedule
from mae_lib.studies.series import listed
from mae_lib.studies.suggestions import SUGGESTIONS
from mae_lib.training.checkpoints import read_json, write_files, write_json
from mae_lib.training.engine import TRAINER_VERSION

Measure = Callable[[str | Path, list[int], str | None], pd.DataFrame]  # of preset, seeds and device


@dataclass(frozen=True)
class Table:
    """How a table is measured, and the modules whose code its numbers depend on."""

    measure: Measure
    modules: tuple[str, ...]
    by_seed: bool = True  # a seed's rows do not depend on other seeds


TABLES = {
    "theorem_2": Table(lambda p, seeds, _: measured_identification(seeds, *size_of(p)), ("mae_lib.limits.theorem_2",)),
    "levels": Table(measured_levels, ("mae_lib.studies.learned_levels",)),
    "tokens": Table(measured_tokens, ("mae_lib.limits.token_model",)),
    "observers": Table(measured_observers, ("mae_lib.studies.observers",), by_seed=False),
    "contrastive": Table(
        lambda *given: mean_scores(measured_encoders(*given)), ("mae_lib.studies.contrastive",), by_seed=False
    ),
    **{
        name: Table(partial(measured_schedule, times), ("mae_lib.studies.schedules",))
        for name, times in SCHEDULES.items()
    },
    "grid": Table(measured_curves, ("mae_lib.studies.schedules",)),
    **{name: Table(one.table, one.modules) for name, one in SUGGESTIONS.items()},
}


def publish_table(
    name: str, preset: str | Path, out: str | Path, seeds: list[int] | str | None = None, device: str | None = None
) -> Path:
    """Train and measure the missing part of one of `TABLES`; write `NAME.csv` and `NAME.json` into the folder `out`.

    Raises ValueError for a folder with the table of another preset or trainer, or of other seeds.
    """
    started, out, one, parameters = time.time(), Path(out), TABLES[name], load_preset(preset)
    parameters["seeds"] = listed("seeds", parameters["seeds"] if seeds is None else seeds)
    held, text = _held(out, name, parameters)
    missing = [seed for seed in parameters["seeds"] if seed not in held]
    if not missing:
        print(f"{out / name}.csv: complete already")
    elif not one.by_seed:
        held, text, missing = [], "", [parameters["seeds"]]
    else:
        missing = [[seed] for seed in missing]
    for number, part in enumerate(missing, 1):
        text += one.measure(preset, part, device).to_csv(index=False, float_format="%.6g", header=not text)
        record = provenance(parameters, one.modules, started if number == len(missing) else None, device)
        held += part
        write_files({out / f"{name}.csv": text.encode()})  # before the record, so that every recorded seed has its rows
        write_json(out / f"{name}.json", record | {"seeds": held, "trainer": TRAINER_VERSION})
    return out / f"{name}.csv"


def _held(out: Path, name: str, parameters: dict[str, Any]) -> tuple[list[int], str]:
    """The seeds that a folder has completely, and the text of their rows; it may also have part of another seed."""
    if not (out / f"{name}.json").is_file():
        return [], ""
    record = read_json(out / f"{name}.json")
    apart = different(parameters, record["parameters"], more_seeds=True)
    if (trainer := record.get("trainer", 1)) != TRAINER_VERSION:
        apart.append(f"trainer is {trainer} there, not {TRAINER_VERSION}")
    if apart:
        raise ValueError(f"{out / name}.csv is another table ({'; '.join(apart)}): give another folder, or remove it")
    rows = pd.read_csv(out / f"{name}.csv", dtype=str, keep_default_na=False)
    return record["seeds"], rows[rows["seed"].isin({"", *map(str, record["seeds"])})].to_csv(index=False)
