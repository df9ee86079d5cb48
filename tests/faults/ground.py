"""What the fault suite stands on: processes that start in milliseconds, so that fifty can be killed, and full disks.

A fork server imports torch once; each process that it forks trains the run of `small.py` and says its error, if one
comes, in a file.
"""

import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from small import CONFIG, train_small

from mae_lib.training import Run

RUN = replace(CONFIG, images=300)  # fifteen steps
SHORT = replace(CONFIG, images=60)  # three
LEFT = {"config.json", "done.json", "log.jsonl", "model.json", "model.safetensors", "lock"}

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["ground"])


def start(work: Callable[..., None], *arguments: Any, **options: Any) -> multiprocessing.Process:
    process = _processes.Process(target=work, args=arguments, kwargs=options)
    process.start()
    return process


def kill(process: multiprocessing.Process) -> int:
    """SIGKILL; the exit code, which is -9 unless the process had ended before."""
    process.kill()
    process.join()
    return process.exitcode


def train_run(runs: Path, config=RUN, draw=None, **options: Any) -> Run:
    return train_small(runs, config, draw, **options)


def trains(runs: Path, said: Path | None = None, config=RUN, draw=None, **options: Any) -> None:
    """What a killed process does: train, and end with status 2 after an error that a user would see in one line."""
    torch.set_num_threads(1)
    try:
        train_small(runs, config, draw, **{"save_seconds": 0} | options)
    except (ValueError, ArithmeticError, OSError) as error:
        Path(said).write_text(str(error))
        sys.exit(2)


def dies_at(point: int, runs: Path, config) -> None:
    """Train, and die before the point-th time that something is flushed, moved into place or removed."""
    count = 0

    def deadly(call: Callable) -> Callable:
        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counted

    os.fsync, os.replace, Path.unlink = map(deadly, (os.fsync, os.replace, Path.unlink))
    trains(runs, config=config)


def lines_of(log: Path) -> int:
    return log.read_text().count("\n") if log.exists() else 0


def wait_until(true: Callable[[], bool], process: multiprocessing.Process | subprocess.Popen, seconds=600) -> None:
    """Until something is so; an error if the process ends before, or it takes too long."""
    ended = (lambda: process.poll() is not None) if isinstance(process, subprocess.Popen) else lambda: process.exitcode
    end = time.time() + seconds
    while not true():
        assert not ended() and time.time() < end, "the process ended, or took too long"
        time.sleep(0.002)


def assert_same_bits(run: Run, whole: Run) -> None:
    """Weights, log and files of two finished runs; what a clock says apart."""
    ours, theirs = run.load().state_dict(), whole.load().state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    logs = [[(line["step"], line["loss"], line["lr"]) for line in one.history()] for one in (run, whole)]
    assert logs[0] == logs[1]
    assert {path.name for path in run.directory.iterdir()} == LEFT


def assert_one_line(text: str, *wanted: str) -> None:
    assert text and text.count("\n") <= 1 and "Traceback" not in text, text
    for words in wanted:
        assert words in text, f"{words!r} is not in {text!r}"


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[bool]:
    """A tmpfs of that size at `folder`; gives False where none may be mounted (then use `limited`)."""
    folder.mkdir(parents=True)
    mounted = os.geteuid() == 0 and not os.environ.get("FAULTS_NO_MOUNT")
    if mounted:
        libc = ctypes.CDLL(None, use_errno=True)
        mounted = libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, f"size={kilobytes}k".encode()) == 0
    try:
        yield mounted
    finally:
        if mounted:
            assert libc.umount2(str(folder).encode(), 2) == 0  # MNT_DETACH: a memory map may still be open


def leave_free(folder: Path, kilobytes: int) -> Path:
    """Fill a small disk but for so much; the file to remove to make room."""
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    space = os.statvfs(folder)
    with open(filler, "wb") as file:
        file.write(bytes(max(0, space.f_bavail * space.f_frsize - kilobytes * 1024)))
    return filler


def limited(kilobytes: int, work: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """Do something in a process whose files cannot grow beyond so much."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))
    work(*arguments, **options)
