"""Section 3.5 of a preset with one command: fine-tune a detector from every encoder and from scratch, and publish it.

    python -m mae_lib detect --preset laptop --seeds "[0,1,2]" --out results/cpu

It is separate from `series`, since it needs a COCO API (`mae_lib[detection]`). Its encoders are those that
`series` trained: a mask's run if present, else the folder's shipped encoder, else a newly trained one. It adds
`detection.csv` and `detection.json` to the folder, detector by detector, and never repeats finished work.
"""

import time
from pathlib import Path
from typing import Any

import yaml

from mae_lib.devices import best_device
from mae_lib.presets import load_preset
from mae_lib.provenance import provenance
from mae_lib.studies import Reader, Scores, Section
from mae_lib.studies.publish import SCORES, shipped_runs
from mae_lib.studies.published_files import called, columns_of, csv_of, reader_of, table
from mae_lib.studies.scores import readers, section_of
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Series
from mae_lib.training import MAE, Hardware, find, pretrain
from mae_lib.training.checkpoints import read_json, write_files, write_json
from mae_lib.training.hardware import rank_and_world

MODULES = ("mae_lib.transfer.section", "mae_lib.training.pretrain")


def publish_detection(
    preset: str | Path,
    out: str | Path | None = None,
    seeds: list[int] | str | None = None,
    only: list[Reader] | None = None,
    folder: str | None = None,
    hardware: Hardware = Hardware(),
) -> dict[Reader, Scores]:
    """The scores of every reader of a preset, or of those in `only`, fine-tuned where they have not been yet.

    With `out` they are written there. `folder` is COCO's folder. Raises ValueError for a reader that the preset does
    not have, and CocoError, before anything is trained, for missing data.
    """
    parameters = load_preset(preset)
    if seeds is not None:
        parameters["seeds"] = yaml.safe_load(seeds) if isinstance(seeds, str) else seeds
    series = Series.from_parameters(parameters)
    section = section_of("detection", series, folder=folder, hardware=hardware)
    chosen = readers(section, series) if only is None else only
    if strange := [called(reader) for reader in chosen if reader not in readers(section, series)]:
        raise ValueError(f"the preset has no {strange[0]}: it has {', '.join(map(called, readers(section, series)))}")
    started, found = time.time(), {}
    shipped = shipped_runs(Path(out)) if out else {}
    held = _Held(Path(out), parameters) if out else None
    _ = section.data
    for number, reader in enumerate(chosen, 1):
        found[reader] = section.measure(reader, encoder_of(section, series, reader, shipped, hardware.device))
        if rank_and_world()[0]:
            continue  # only one worker of torchrun prints and writes
        means = ", ".join(f"{metric} {values.mean():.1f}" for metric, values in found[reader].items())
        left = (time.time() - started) / number * (len(chosen) - number) / 60
        print(f"{number} of {len(chosen)}: {called(reader)}: {means}; about {left:.0f} min left", flush=True)
        if held:
            held.add(reader, found[reader], shipped=reader in shipped)
            held.write(provenance(parameters, MODULES, started, hardware.device))
    return found


def encoder_of(section: Section, series: Series, reader: Reader, shipped: dict, device: str | None) -> MAE:
    """The encoder, on the CPU, that a reader's detector starts from; trained here if there is none."""
    if reader[0] == "supervised":
        return section.supervised(reader[1], device or best_device()).cpu()
    if reader not in series.configs:
        return untrained(series.scale, reader[1])
    config = series.configs[reader]
    return (find(config) or shipped.get(reader) or pretrain(config, hardware=Hardware(device))).load()


class _Held:
    """A folder's results for the same settings, to which detectors are added; those for other settings are replaced."""

    def __init__(self, out: Path, parameters: dict[str, Any]) -> None:
        self.out = out
        record = read_json(out / "detection.json") if (out / "detection.json").is_file() else {}
        same = record and record["parameters"]["scale"] == parameters["scale"]
        self.rows = table(out / "detection.csv") if same else []
        self.encoders: dict[str, str] = record["encoders"] if same else {}
        self.seeds = sorted({*parameters["seeds"], *(record["seeds"] if same else [])})

    def add(self, reader: Reader, scores: Scores, shipped: bool) -> None:
        means = ((metric, f"{values.mean():.10g}", len(values)) for metric, values in scores.items())
        new = [dict(zip(SCORES, ("detection", *columns_of(reader), *mean))) for mean in means]
        self.rows = [row for row in self.rows if reader_of(row) != reader] + new
        self.encoders |= {called(reader): "shipped" if shipped else "trained"}

    def write(self, record: dict[str, Any]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        write_files({self.out / "detection.csv": csv_of(SCORES, [tuple(row.values()) for row in self.rows])})
        record |= {"seeds": self.seeds, "parameters": record["parameters"] | {"seeds": self.seeds}}
        write_json(self.out / "detection.json", record | {"encoders": self.encoders})
