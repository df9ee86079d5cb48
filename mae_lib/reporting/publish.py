"""The whole of Section 3 by one command, on a bare machine: pretrain every mask of a preset, measure it, publish it.

    python -m mae_lib series --preset laptop --seeds "[0, 1, 2]" --out results/cpu

Notable: it needs torch, timm, torchvision, scikit-learn and piq, and nothing that draws. Work is done in parts, one for
each reader; what a part leaves lies in the runs folder, so a killed command goes on where it was and a finished part is
never done twice. The folder that it writes is what `mae_lib.reporting.published` reads:

    preset.yaml  scores.csv  images.npz  training.csv  provenance.json  encoders/<run>/

`wall_seconds` is null until the folder is whole.
"""

import csv
import io
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mae_lib.evaluation.scores import measure, measure_all, readers, scores_file, section_of
from mae_lib.evaluation.sections import SECTIONS, Reader, Section
from mae_lib.presets import load_preset, parse_yaml
from mae_lib.reporting.image_scores import write_image_scores
from mae_lib.reporting.provenance import provenance
from mae_lib.sources import source_hash
from mae_lib.training import PretrainConfig, Run, find, pretrain
from mae_lib.training.checkpoints import read_json, write_files, write_json
from mae_lib.training.engine import best_device
from mae_lib.training.series import Mask, Series

MODULES = ("mae_lib.evaluation.sections", "mae_lib.training.pretrain", "mae_lib.worlds.real")
SCORES = ("section", "reader", "ratio", "unit", "seed", "metric", "value", "count")
TRAINING = ("ratio", "unit", "seed", "loss", "images_per_second", "seconds", "device")
_LOG_LINES = 60
_MEASURED = [name for name, section in SECTIONS.items() if not section.apart]


def publish(
    preset: str | Path,
    out: str | Path,
    seeds: list[int] | str | None = None,
    jobs: int = 1,
    device: str | None = None,
    ship: int = 1,
    together: bool | None = None,
) -> Path:
    """Train and measure what is missing of a preset's series, and write it into the folder `out`.

    `seeds` stand in for the preset's; `jobs` processes work at once; the encoders of the first `ship` seeds are
    shipped. `together` trains the seeds of a mask as one batched model, before all else; by default on CUDA.
    Raises ValueError for a folder that holds results of another preset or code, or something else.
    """
    if jobs < 1 or ship < 0:
        raise ValueError(f"jobs is {jobs} and ship {ship}: at least 1 process, and encoders of 0 seeds or more")
    parameters, out = load_preset(preset), Path(out)
    if seeds is not None:
        parameters["seeds"] = parse_yaml(seeds, "seeds") if isinstance(seeds, str) else seeds
    series = _series(json.dumps(parameters))
    if _complete(out, parameters, ship):
        print(f"{out}: complete already")
        return out
    for section in _sections(json.dumps(parameters)).values():  # missing data are missed before anything is trained
        section.key  # noqa: B018
    started = time.time()
    record = provenance(parameters, MODULES, device=device) | {"code_hash": _code(), "wall_seconds": None}
    write_files({out / "preset.yaml": yaml.safe_dump(parameters, sort_keys=False).encode()})
    write_json(out / "provenance.json", record)
    if best_device(device).type == "cuda" if together is None else together:
        series.train(device, together=True)
    _work_through(parameters, series, jobs, device)
    _write_tables(out, series)
    _ship(out, series, ship)
    record |= {"training_seconds": round(sum(find(config).done["seconds"] for config in series.configs.values()))}
    record |= {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json(out / "provenance.json", record | {"wall_seconds": round(time.time() - started, 1)})
    return out


# What a folder holds


def _code() -> str:
    return source_hash(*MODULES, without="theory")


def _complete(out: Path, parameters: dict[str, Any], ship: int) -> bool:
    """Whether the folder holds all of this. Raises ValueError if it holds anything else."""
    if not out.exists() or not any(out.iterdir()):
        return False
    if not (out / "provenance.json").is_file() or not (out / "preset.yaml").is_file():
        raise ValueError(f"{out} is not empty and holds no published series: give another folder")
    record, held = read_json(out / "provenance.json"), yaml.safe_load((out / "preset.yaml").read_text())
    if differing := different(parameters, held, more_seeds=True):
        raise ValueError(f"{out} holds another preset's results ({'; '.join(differing)}): give another folder")
    if record["code_hash"] != _code():
        found = f"of code {record['code_hash']}, and this code is {_code()}"
        raise ValueError(f"{out} holds results {found}: give another folder, or remove it")
    shipped = {seed for _, _, seed in shipped_runs(out)}
    whole = record["wall_seconds"] is not None and held["seeds"] == parameters["seeds"]
    return whole and shipped >= set(sorted(parameters["seeds"])[:ship])


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
    return {name: section_of(name, _series(parameters)) for name in _MEASURED}


def _parts(series: Series, sections: dict[str, Section]) -> dict[Reader, list[str]]:
    """Every reader with the sections that measure it; the masks, which are trained first, stand first."""
    found: dict[Reader, list[str]] = {mask: [] for mask in series.configs}
    for name, section in sections.items():
        for reader in readers(section, series):
            found.setdefault(reader, []).append(name)
    return found


def _is_done(series: Series, sections: dict[str, Section], reader: Reader, names: Sequence[str]) -> bool:
    trained = reader not in series.configs or find(series.configs[reader]) is not None
    return trained and all(scores_file(sections[name], series, reader).is_file() for name in names)


def _do(parameters: str, reader: Reader, names: Sequence[str], device: str | None, progress: bool) -> float:
    """One part: train if it is a mask, then measure; the seconds that it took."""
    series, begun = _series(parameters), time.time()
    if reader in series.configs:
        pretrain(series.configs[reader], device=device, progress=progress)
    for name in names:
        measure(_sections(parameters)[name], series, reader, device)
    return time.time() - begun


def _work_through(parameters: dict[str, Any], series: Series, jobs: int, device: str | None) -> None:
    """Do the parts that are not done, and say how far it has come."""
    key = json.dumps(parameters)
    sections = _sections(key)
    parts = {r: names for r, names in _parts(series, sections).items() if not _is_done(series, sections, r, names)}
    if not parts:
        return
    print(f"{len(parts)} parts to do, {jobs} at a time", flush=True)
    begun = time.time()
    bars = jobs == 1 and sys.stderr.isatty()
    tasks = ((key, reader, names, device, bars) for reader, names in parts.items())
    for number, (reader, seconds) in enumerate(_one_by_one(tasks) if jobs == 1 else _at_once(tasks, jobs), 1):
        left = (time.time() - begun) / number * (len(parts) - number) / 60
        print(f"{number} of {len(parts)}: {called(reader)}, {seconds:.0f} s; about {left:.0f} min left", flush=True)


def _one_by_one(tasks: Iterator[tuple]) -> Iterator[tuple[Reader, float]]:
    for task in tasks:
        yield task[1], _do(*task)


def _at_once(tasks: Iterator[tuple], jobs: int) -> Iterator[tuple[Reader, float]]:
    """The parts in processes of their own, which share the cores; the first that fails ends the others."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when a process loads its libraries
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin, initargs=(os.getpid(), threads))
    try:
        futures = {pool.submit(_do, *task): task[1] for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
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


def called(reader: Reader) -> str:
    """A reader in words: "r 0.75, unit 8 px, seed 0", "untrained, seed 0", "pixels"."""
    if reader[0] == "untrained":
        return f"untrained, seed {reader[1]}"
    return reader[0] if len(reader) == 1 else "r {:g}, unit {} px, seed {}".format(*reader)


# What it leaves


def _write_tables(out: Path, series: Series) -> None:
    rows, found = [], {name: measure_all(section_of(name, series), series) for name in _MEASURED}
    write_image_scores(out, found)
    for name, of_readers in found.items():
        for reader, scores in of_readers.items():
            who = columns_of(reader)
            # What cannot be measured on this world is NaN throughout, and has no row.
            measured = {metric: v for metric, v in scores.items() if not np.isnan(v).all()}
            rows += [(name, *who, metric, f"{v.mean():.10g}", len(v)) for metric, v in measured.items()]
    runs = {mask: find(config).done for mask, config in series.configs.items()}
    training = [
        (*mask, *(f"{done[name]:.6g}" for name in TRAINING[3:6]), done["device"]) for mask, done in runs.items()
    ]
    write_files({out / "training.csv": csv_of(TRAINING, training), out / "scores.csv": csv_of(SCORES, rows)})


def columns_of(reader: Reader) -> tuple[Any, ...]:
    """The columns reader, ratio, unit and seed of a row."""
    if len(reader) == 3:
        return ("trained", *reader)
    return (reader[0], "", "", reader[1] if len(reader) == 2 else "")


def csv_of(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def _ship(out: Path, series: Series, count: int) -> None:
    """The encoders and decoders of the first seeds, each a run folder in half precision with a thinner log."""
    seeds = sorted({seed for _, _, seed in series.configs})[:count]
    for mask, config in series.configs.items():
        if mask[2] in seeds:
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
