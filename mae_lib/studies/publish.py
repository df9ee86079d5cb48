"""All of Section 3 with one command, on a bare machine: pretrain every mask of a preset, measure it, publish it.

    python -m mae_lib series --preset laptop --seeds "[0,1,2]" --out results/cpu

It needs torch, timm, torchvision, scikit-learn and piq, but no plotting library. It resumes from the folder
that it writes, and from nothing else. Work is done in parts, one per reader, the first seed of everything before a
second. A part is in the folder as soon as it is finished: a command that is killed, or stopped by `minutes`, loses at
most one part, and the same command resumes on any machine. `mae_lib.studies.results` reads the folder:

    preset.yaml  scores.csv  training.csv  provenance.json
    scores/<reader>.npz  encoders/<run>/

`scores.csv` has means, `scores/` a number per image, in half precision. A preset whose scale has `snapshots` keeps that
many intermediate models of each run, with their scores in `curves.csv`.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mae_lib.presets import load_preset, parse_yaml
from mae_lib.provenance import provenance
from mae_lib.studies import SECTIONS, Reader, Scores, Section
from mae_lib.studies.curves import curve
from mae_lib.studies.image_scores import image_scores_file, measured
from mae_lib.studies.published_files import add_curves, called, columns_of, csv_of, reader_of, table
from mae_lib.studies.scores import measure, readers, section_of
from mae_lib.studies.series import Mask, Series
from mae_lib.training import Hardware, PretrainConfig, Run, find, pretrain
from mae_lib.training.checkpoints import read_json, write_files, write_json
from mae_lib.training.engine import TRAINER_VERSION

MODULES = ("mae_lib.studies", "mae_lib.training.pretrain", "mae_lib.worlds.real")
SCORES = ("section", "reader", "ratio", "unit", "seed", "metric", "value", "count")
TRAINING = ("ratio", "unit", "seed", "loss", "images_per_second", "seconds", "device")
_LOG_LINES = 60


def publish(
    preset: str | Path,
    out: str | Path,
    seeds: list[int] | str | None = None,
    device: str | None = None,
    ship: int = 1,
    minutes: float | None = None,
    tensorboard: bool = False,
) -> Path:
    """Train and measure what the folder `out` lacks of a preset's series, and write it there, part by part.

    `seeds` replace the preset's; the encoders of the first `ship` seeds are shipped. After about `minutes` no part is
    begun: one starts only if the time left is at least that of the longest so far. `tensorboard` as in `Hardware`.
    Raises ValueError for a folder with results of another preset or trainer, or with anything else.
    """
    if ship < 0 or (minutes is not None and not minutes > 0):
        raise ValueError(f"ship is {ship} and minutes {minutes}: encoders of 0 seeds or more, and a time above 0")
    parameters, out = load_preset(preset), Path(out)
    if seeds is not None:
        parameters["seeds"] = parse_yaml(seeds, "seeds") if isinstance(seeds, str) else seeds
    series = Series.from_parameters(parameters)
    sections = {name: section_of(name, series) for name in SECTIONS}
    held = _held(out, parameters)
    for section in sections.values():  # missing data are detected before anything is trained
        section.key  # noqa: B018
    hardware = Hardware(device, progress=sys.stderr.isatty(), tensorboard=tensorboard)
    hardware.torch_device  # noqa: B018  and so is a missing device
    parts = _missing(out, series, sections)
    shipped = sorted(series.seeds)[:ship]
    if not parts and {seed for _, _, seed in shipped_runs(out)} >= set(shipped):
        print(f"{out}: complete already")
        return out
    record = provenance(parameters, MODULES, device=device) | {"trainer": TRAINER_VERSION}
    spent = held.get("wall_seconds") or 0.0
    write_files({out / "preset.yaml": yaml.safe_dump(parameters, sort_keys=False).encode()})
    begun = time.time()
    for reader, names in _in_time(parts, minutes):
        scores, curves = _do(series, {name: sections[name] for name in names}, reader, hardware)
        _add(out, series, reader, scores)
        if curves:
            add_curves(out, reader, curves)
        if reader in series.configs and reader[2] in shipped:
            _ship(out, series.configs[reader])
        record |= {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
        record |= {"training_seconds": round(sum(float(row["seconds"]) for row in table(out / "training.csv")))}
        write_json(out / "provenance.json", record | {"wall_seconds": round(spent + time.time() - begun, 1)})
    for mask, config in series.configs.items():  # finished runs that were not shipped
        if mask[2] in shipped and mask not in shipped_runs(out) and find(config):
            _ship(out, config)
    return out


# The content of a folder


def _held(out: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """The record of a folder that these results may be added to. Raises ValueError for any other folder."""
    if not out.exists() or not any(out.iterdir()):
        return {}
    if not (out / "preset.yaml").is_file():
        raise ValueError(f"{out} is not empty and holds no published series: give another folder")
    there = yaml.safe_load((out / "preset.yaml").read_text())
    if differing := different(parameters, there, more_seeds=True):
        raise ValueError(f"{out} holds another preset's results ({'; '.join(differing)}): give another folder")
    record = read_json(out / "provenance.json") if (out / "provenance.json").is_file() else {}
    made_by = record.get("trainer", 1)  # the first edition's trainer did not record its version
    if made_by != TRAINER_VERSION:
        raise ValueError(
            f"{out} was made by trainer {made_by}, and this is trainer {TRAINER_VERSION}: give another folder"
        )
    return record


def _finished(out: Path) -> set[tuple[str, Reader]]:
    """The sections in a folder for each reader, including those in which nothing could be measured."""
    return {(row["section"], reader_of(row)) for row in table(out / "scores.csv")} | measured(out)


def finished_seeds(out: Path, parameters: dict[str, Any]) -> list[int]:
    """The seeds for which a folder has every mask, trained and measured."""
    done = {reader for _, reader in _finished(out)}
    trained = {(float(row["ratio"]), int(row["unit"]), int(row["seed"])) for row in table(out / "training.csv")}
    masks = set(Series.from_parameters(parameters).configs)
    return [s for s in parameters["seeds"] if {m for m in masks if m[2] == s} <= done & trained]


def shipped_runs(folder: Path) -> dict[Mask, Run]:
    """The encoders that a published folder ships, by mask."""
    runs = [Run(path.parent) for path in sorted((folder / "encoders").glob("*/done.json"))]
    return {(run.config.mask_ratio, run.config.unit, run.config.seed): run for run in runs}


def different(
    asked: dict[str, Any], held: dict[str, Any], more_seeds: bool = False, detection: bool = False
) -> list[str]:
    """The differences between two presets, in words; with `more_seeds`, `asked` may have seeds beyond those of `held`.

    Settings of Section 3.5 affect nothing else, so they count only with `detection`. An entry that `held` lacks did not
    exist when it was run: a pretraining setting then had its default, and anything else, such as the size of a newer
    evaluation, cannot have mattered.
    """
    wanted, found = ({k: v for k, v in one.items() if k != "scale"} | one["scale"] for one in (asked, held))
    defaults = json.loads(json.dumps(asdict(PretrainConfig())))
    names = [name for name in wanted if name in found or name in defaults] + sorted(found.keys() - wanted.keys())
    names = [name for name in names if detection or not name.startswith("detection_")]
    pairs = {name: [one.get(name, defaults.get(name)) for one in (wanted, found)] for name in names}
    apart = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if more_seeds and set(held["seeds"]) <= set(asked["seeds"]):
        apart.pop("seeds", None)
    return [f"{name} is {there!r} there, not {here!r}" for name, (here, there) in apart.items()]


# The work, in parts


def _missing(out: Path, series: Series, sections: dict[str, Section]) -> dict[Reader, list[str]]:
    """Readers with the sections that lack them: those without masked training, then mask by mask and seed by seed."""
    masks: dict[Reader, list[str]] = {mask: [] for mask in series.configs}
    others: dict[Reader, list[str]] = {}
    finished = _finished(out)
    for name, section in sections.items():
        for reader in readers(section, series):
            if (name, reader) not in finished:
                (masks if reader in masks else others).setdefault(reader, []).append(name)
    return others | {mask: names for mask, names in masks.items() if names}


def _do(
    series: Series, sections: dict[str, Section], reader: Reader, hardware: Hardware
) -> tuple[dict[str, Scores], dict[int, Scores]]:
    """One part: train if it is a mask, then measure. Its scores by section; intermediate ones by images visited."""
    if reader not in series.configs:
        return {name: measure(section, series, reader, hardware.device) for name, section in sections.items()}, {}
    kept, curves = series.scale.get("snapshots", 0), {}
    pretrain(series.configs[reader], hardware=hardware, snapshots=kept)
    scores = {name: measure(section, series, reader, hardware.device) for name, section in sections.items()}
    for section in sections.values():
        for images, found in curve(section, series, reader).items():
            curves.setdefault(images, {}).update(found)
    return scores, curves


def _in_time(parts: dict[Reader, list[str]], minutes: float | None) -> Iterator[tuple[Reader, list[str]]]:
    """The parts one after another, while time is left, with a line of progress for each."""
    print(f"{len(parts)} parts to do", flush=True)
    begun, longest = time.time(), 0.0
    for number, (reader, names) in enumerate(parts.items(), 1):
        if minutes is not None and time.time() - begun + longest > 60 * minutes:
            print(f"{len(parts) - number + 1} parts are left: the same command goes on with them", flush=True)
            return
        started = time.time()
        yield reader, names
        took = time.time() - started
        longest, left = max(longest, took), (time.time() - begun) / number * (len(parts) - number) / 60
        print(f"{number} of {len(parts)}: {called(reader)}, {took:.0f} s; about {left:.0f} min left", flush=True)


# The output


def _add(out: Path, series: Series, reader: Reader, scores: dict[str, Scores]) -> None:
    """Put a finished part into the folder: the scores per image, the means, and its training cost."""
    new = [
        (name, *columns_of(reader), metric, f"{values.mean():.10g}", len(values))
        for name, of in scores.items()
        for metric, values in of.items()
        if not np.isnan(values).all()  # scores that cannot be measured on this world have no row
    ]
    rows = [row for row in table(out / "scores.csv") if row["section"] not in scores or reader_of(row) != reader]
    path, images = image_scores_file(out, reader, scores)
    files = {path: images, out / "scores.csv": csv_of(SCORES, [*(r.values() for r in rows), *new])}
    if reader in series.configs:
        done = find(series.configs[reader]).done
        ran = [row for row in table(out / "training.csv") if reader_of(row | {"reader": "trained"}) != reader]
        took = (*reader, *(f"{done[name]:.6g}" for name in TRAINING[3:6]), done["device"])
        files[out / "training.csv"] = csv_of(TRAINING, [*(row.values() for row in ran), took])
    write_files(files)


def _ship(out: Path, config: PretrainConfig) -> None:
    """The encoder and decoder of a run as a run folder in half precision with a thinner log."""
    run, folder = find(config), out / "encoders" / config.name
    run.export(folder / "model")
    lines = "".join(json.dumps(line) + "\n" for line in _thinned(run.history()))
    write_files({folder / "log.jsonl": lines.encode()})
    for name in ("config.json", "done.json"):
        write_json(folder / name, read_json(run.directory / name))


def _thinned(lines: list[dict]) -> list[dict]:
    """At most 60 lines, each the average of a stretch, so that a curve keeps its level."""
    if len(lines) <= _LOG_LINES:
        return lines
    ends = [round(k * len(lines) / _LOG_LINES) for k in range(_LOG_LINES + 1)]
    stretches = [lines[a:b] for a, b in pairwise(ends)]
    return [part[-1] | {"loss": sum(line["loss"] for line in part) / len(part)} for part in stretches]
