"""Scores of a section's readers, measured once and stored with the reader's run.

The scores of a trained run are in its folder, `runs/<run>/scores/<section>-<key>.npz`, those of other readers in
`runs/scores/`. The key is a hash of the sizes, the options and the declared version of the section.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mae_lib.devices import best_device
from mae_lib.folders import runs_folder
from mae_lib.studies import DETECTION, SECTIONS, Reader, Scores, Section, section_class
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Series
from mae_lib.training import MAE, find
from mae_lib.training.checkpoints import write_files

SEEDED = ("untrained", "supervised")  # the readers without masked training that depend on a seed


def section_of(name: str, series: Series, **options: Any) -> Section:
    """A section (`reconstruction`, `attention`, `separability`, `shape_bias`, `pretraining`) of a series.

    Raises ValueError for an unknown section.
    """
    if name not in (known := (*SECTIONS, DETECTION)):
        raise ValueError(f"section {name!r} is unknown: choose one of {', '.join(known)}")
    return section_class(name, series.world)(series.world, series.scale, series.cache, **options)


def readers(section: Section, series: Series) -> list[Reader]:
    """The readers that a section measures: its baselines, then the masks of the series."""
    without = [(name,) for name in section.baselines if name not in SEEDED]
    fresh = [(name, seed) for name in SEEDED if name in section.baselines for seed in series.seeds]
    return [*without, *fresh, *(mask for mask in series.configs if section.reads(mask))]


def scores_file(section: Section, series: Series, reader: Reader) -> Path:
    """Where the scores of one reader are kept."""
    if reader in series.configs:
        return runs_folder() / series.configs[reader].name / "scores" / f"{section.name}-{section.key}.npz"
    who = "-".join(map(str, reader))
    return runs_folder() / "scores" / f"{section.name}-{who}-{section.key}.npz"


def measure(section: Section, series: Series, reader: Reader, device: str | None = None) -> Scores:
    """The scores of one reader, read if they have been measured before. The model of a mask must be trained.

    Raises ValueError for a mask whose model is not trained, and CheckpointError if the disk refuses.
    """
    file = scores_file(section, series, reader)
    if not file.is_file():
        found = section.measure(reader, _model(section, series, reader, device))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{metric: np.asarray(values, dtype=float) for metric, values in found.items()})
        write_files({file: buffer.getvalue()})
    with np.load(file, allow_pickle=False) as kept:
        return {metric: kept[metric] for metric in kept.files}


def measure_all(
    section: Section, series: Series, chosen: Sequence[Reader] | None = None, device: str | None = None
) -> dict[Reader, Scores]:
    """The scores of all readers of a section, or of those `chosen`, and the scores derived from several of them."""
    chosen = readers(section, series) if chosen is None else chosen
    return section.derived({reader: measure(section, series, reader, device) for reader in chosen})


def _model(section: Section, series: Series, reader: Reader, device: str | None) -> MAE | None:
    if device is None:  # for small models on small images a GPU costs more time than it saves
        device = best_device() if series.world.from_files else "cpu"
    if reader[0] == "untrained":
        return untrained(series.scale, reader[1]).to(device)
    if reader[0] == "supervised":
        return section.supervised(reader[1], device)
    if reader not in series.configs:
        return None
    run = find(series.configs[reader])
    if run is None:
        raise ValueError("the model of ratio {:g}, unit {} px and seed {} has not been trained".format(*reader))
    return run.load(device)
