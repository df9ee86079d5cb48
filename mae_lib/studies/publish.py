"""The whole of Section 3 by one command, on a bare machine: pretrain every mask of a preset, measure it, publish it.

    python -m mae_lib series --preset laptop --seeds "[0, 1, 2]" --out results/cpu

Notable: it needs torch, timm, torchvision, scikit-learn and piq, and nothing that draws. The folder that it writes is
all that it goes on from. Work is done in parts, one for each reader, the first seed of everything before a second, and
a part stands in the folder as soon as it is finished: a command that is killed, or stopped by `minutes`, loses one
part at most, and the same command goes on there, on any machine. `mae_lib.studies.published` reads the folder:

    preset.yaml  scores.csv  training.csv  provenance.json  scores/<reader>.npz  encoders/<run>/

`scores.csv` holds means, `scores/` the number of each image, in half precision. A preset whose scale has `snapshots`
keeps that many models of each run on the way, and their scores stand in `curves.csv`.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from itertools import islice, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mae_lib.devices import best_device
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
    jobs: int = 1,
    device: str | None = None,
    ship: int = 1,
    minutes: float | None = None,
) -> Path:
    """Train and measure what the folder `out` lacks of a preset's series, and write it there, part by part.

    `seeds` stand in for the preset's; `jobs` processes work at once; the encoders of the first `ship` seeds are
    shipped. After about `minutes` no part is begun: one starts only if as long a time as the longest so far is left.
    Raises ValueError for a folder that holds results of another preset or trainer, or something else.
    """
    if jobs < 1 or ship < 0 or (minutes is not None and not minutes > 0):
        raise ValueError(
            f"jobs is {jobs}, ship {ship} and minutes {minutes}: at least 1 process, encoders of 0 seeds or more, and "
            "a time above 0"
        )
    parameters, out = load_preset(preset), Path(out)
    if seeds is not None:
        parameters["seeds"] = parse_yaml(seeds, "seeds") if isinstance(seeds, str) else seeds
    series = _series(json.dumps(parameters))
    held = _held(out, parameters)
    for section in _sections(json.dumps(parameters)).values():  # missing data are missed before anything is trained
        section.key  # noqa: B018
    best_device(device)
    parts = _missing(out, series, _sections(json.dumps(parameters)))
    shipped = sorted(series.seeds)[:ship]
    if not parts and {seed for _, _, seed in shipped_runs(out)} >= set(shipped):
        print(f"{out}: complete already")
        return out
    record = provenance(parameters, MODULES, device=device) | {"trainer": TRAINER_VERSION}
    spent = held.get("wall_seconds") or 0.0
    write_files({out / "preset.yaml": yaml.safe_dump(parameters, sort_keys=False).encode()})
    begun = time.time()
    for reader, scores, curves in _work_through(parameters, parts, jobs, device, minutes):
        _add(out, series, reader, scores)
        if curves:
            add_curves(out, reader, curves)
        if reader in series.configs and reader[2] in shipped:
            _ship(out, series.configs[reader])
        record |= {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
        record |= {"training_seconds": round(sum(float(row["seconds"]) for row in table(out / "training.csv")))}
        write_json(out / "provenance.json", record | {"wall_seconds": round(spent + time.time() - begun, 1)})
    for mask, config in series.configs.items():  # of runs that were finished without being shipped
        if mask[2] in shipped and mask not in shipped_runs(out) and find(config):
            _ship(out, config)
    return out


# What a folder holds


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
    made_by = record.get("trainer", 1)  # the first edition's trainer did not say its version
    if made_by != TRAINER_VERSION:
        raise ValueError(
            f"{out} was made by trainer {made_by}, and this is trainer {TRAINER_VERSION}: give another folder"
        )
    return record


def _finished(out: Path) -> set[tuple[str, Reader]]:
    """The sections that a folder holds for each reader, also those in which nothing could be measured."""
    return {(row["section"], reader_of(row)) for row in table(out / "scores.csv")} | measured(out)


def finished_seeds(out: Path, parameters: dict[str, Any]) -> list[int]:
    """The seeds of which a folder holds every mask, trained and measured."""
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
    """Where two presets differ, each in words; with `more_seeds`, `asked` may have seeds beyond those of `held`.

    Settings of Section 3.5 matter to nothing else, so they count with `detection` alone. An entry that `held` lacks did
    not exist when it was run: a setting of the pretraining then had its default, and anything else, such as the size of
    an evaluation that is newer, cannot have mattered.
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


@cache
def _series(parameters: str) -> Series:
    """The series of a preset's parameters, given as JSON, so that a process makes it once."""
    return Series.from_parameters(json.loads(parameters))


@cache
def _sections(parameters: str) -> dict[str, Section]:
    return {name: section_of(name, _series(parameters)) for name in SECTIONS}


def _missing(out: Path, series: Series, sections: dict[str, Section]) -> dict[Reader, list[str]]:
    """Every reader with the sections that lack it: those without training first, then mask by mask and seed by seed."""
    masks: dict[Reader, list[str]] = {mask: [] for mask in series.configs}
    others: dict[Reader, list[str]] = {}
    finished = _finished(out)
    for name, section in sections.items():
        for reader in readers(section, series):
            if (name, reader) not in finished:
                (masks if reader in masks else others).setdefault(reader, []).append(name)
    return others | {mask: names for mask, names in masks.items() if names}


def _do(
    parameters: str, reader: Reader, names: Sequence[str], device: str | None, progress: bool
) -> tuple[dict[str, Scores], dict[int, Scores], float]:
    """One part: train if it is a mask, then measure.

    Its scores by section, those on the way by the number of images, and the seconds that it took.
    """
    series, sections, begun, curves = _series(parameters), _sections(parameters), time.time(), {}
    if reader in series.configs:
        hardware = Hardware(device, progress=progress)
        pretrain(series.configs[reader], hardware=hardware, snapshots=series.scale.get("snapshots", 0))
    scores = {name: measure(sections[name], series, reader, device) for name in names}
    if reader in series.configs:
        for name in names:
            for images, found in curve(sections[name], series, reader).items():
                curves.setdefault(images, {}).update(found)
    return scores, curves, time.time() - begun


def _work_through(
    parameters: dict[str, Any],
    parts: dict[Reader, list[str]],
    jobs: int,
    device: str | None,
    minutes: float | None,
) -> Iterator[tuple[Reader, dict[str, Scores], dict[int, Scores]]]:
    """Do the parts, as far as the time goes, and say how far it has come."""
    print(f"{len(parts)} parts to do, {jobs} at a time", flush=True)
    begun, longest = time.time(), 0.0
    bars = jobs == 1 and sys.stderr.isatty()

    def tasks() -> Iterator[tuple]:
        for number, (reader, names) in enumerate(parts.items()):
            if minutes is not None and time.time() - begun + longest > 60 * minutes:
                print(f"{len(parts) - number} parts are left: the same command goes on with them", flush=True)
                return
            yield json.dumps(parameters), reader, names, device, bars

    done = _one_by_one(tasks()) if jobs == 1 else _at_once(tasks(), jobs)
    for number, (reader, (scores, curves, seconds)) in enumerate(done, 1):
        longest = max(longest, seconds)
        left = (time.time() - begun) / number * (len(parts) - number) / 60
        print(f"{number} of {len(parts)}: {called(reader)}, {seconds:.0f} s; about {left:.0f} min left", flush=True)
        yield reader, scores, curves


def _one_by_one(tasks: Iterator[tuple]) -> Iterator[tuple[Reader, tuple]]:
    for task in tasks:
        yield task[1], _do(*task)


def _at_once(tasks: Iterator[tuple], jobs: int) -> Iterator[tuple[Reader, tuple]]:
    """The parts in processes of their own, which share the cores; the first that fails ends the others.

    A task is taken when a process is free for it, so that none is begun after the time is over.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when a process loads its libraries
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin, initargs=(os.getpid(), threads))
    running: dict[Future, Reader] = {}
    try:
        while True:
            running |= {pool.submit(_do, *task): task[1] for task in islice(tasks, jobs - len(running))}
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int, threads: int) -> None:
    """A process of the pool ends when the command has been killed: nobody would wait for it."""
    torch.set_num_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# What it leaves


def _add(out: Path, series: Series, reader: Reader, scores: dict[str, Scores]) -> None:
    """Put a finished part into the folder: the number of each image, the means, and what its training took."""
    new = [
        (name, *columns_of(reader), metric, f"{values.mean():.10g}", len(values))
        for name, of in scores.items()
        for metric, values in of.items()
        if not np.isnan(values).all()  # what cannot be measured on this world has no row
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
    """At most 60 lines, averages of as many stretches, so that a curve keeps its level."""
    if len(lines) <= _LOG_LINES:
        return lines
    ends = [round(k * len(lines) / _LOG_LINES) for k in range(_LOG_LINES + 1)]
    stretches = [lines[a:b] for a, b in pairwise(ends)]
    return [part[-1] | {"loss": sum(line["loss"] for line in part) / len(part)} for part in stretches]
