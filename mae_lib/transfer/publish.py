"""Section 3.5 of a preset by one command: fine-tune a detector from every encoder and from scratch, and publish it.

    python -m mae_lib detect --preset laptop --seeds "[0, 1, 2]" --out results/cpu

Notable: it is apart from `series`, since it needs a COCO API (mae_lib[detection]), and its encoders are those that
`series` trained: a mask's run is read where it lies, else the folder's shipped encoder is taken, else it is trained. It
adds `detection.csv` and `detection.json` to the folder. What is finished is never done twice.
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mae_lib.presets import load_preset
from mae_lib.provenance import provenance
from mae_lib.studies import Reader, Scores
from mae_lib.studies.publish import SCORES, shipped_runs
from mae_lib.studies.published_files import called, columns_of, csv_of
from mae_lib.studies.scores import readers, section_of
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Series
from mae_lib.training import MAE, Hardware, find, pretrain
from mae_lib.training.checkpoints import write_files, write_json
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

    With `out` they are written there. `folder` is COCO's. Raises ValueError for a reader that the preset does not have,
    and CocoError, before anything is trained, for data that is not there.
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
    _ = section.data
    for number, reader in enumerate(chosen, 1):
        model = encoder_of(series, reader, shipped, hardware.device)  # on the CPU; the detector moves
        found[reader] = section.measure(reader, model)
        if rank_and_world()[0]:
            continue  # one worker of torchrun speaks and writes for all
        means = ", ".join(f"{metric} {values.mean():.1f}" for metric, values in found[reader].items())
        left = (time.time() - started) / number * (len(chosen) - number) / 60
        print(f"{number} of {len(chosen)}: {called(reader)}: {means}; about {left:.0f} min left", flush=True)
    if out and not rank_and_world()[0]:
        record = provenance(parameters, MODULES, started, hardware.device)
        record |= {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
        record |= {"encoders": {called(mask): "shipped" if mask in shipped else "trained" for mask in series.configs}}
        _write(Path(out), found, record)
    return found


def encoder_of(series: Series, reader: Reader, shipped: dict, device: str | None) -> MAE:
    """The encoder that a reader's detector starts from, pretrained here if it lies nowhere."""
    if reader not in series.configs:
        return untrained(series.scale, reader[1])
    config = series.configs[reader]
    return (find(config) or shipped.get(reader) or pretrain(config, hardware=Hardware(device))).load()


def _write(out: Path, found: dict[Reader, Scores], record: dict[str, Any]) -> None:
    rows = [
        ("detection", *columns_of(reader), metric, f"{values.mean():.10g}", len(values))
        for reader, scores in found.items()
        for metric, values in scores.items()
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_files({out / "detection.csv": csv_of(SCORES, rows)})
    write_json(out / "detection.json", record)
