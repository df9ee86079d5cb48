"""A run's log for TensorBoard, if requested: event files next to `log.jsonl`, shown by `tensorboard --logdir runs`.

The event files are written from the log and contain nothing else. A resumed run rewrites them from the lines
that it keeps, so no step appears twice, and a finished run gets them without training.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_CURVES = ("loss", "lr", "images_per_second")  # of a line of the log, against its step
_EVENTS = "events.out.tfevents.*"
_FLUSH_SECONDS = 10  # until written points become visible


def require_tensorboard() -> None:
    """Check that TensorBoard is installed; raises ValueError if it is not."""
    if find_spec("tensorboard") is None:
        raise ValueError("TensorBoard is not here: install mae_lib[tensorboard]")


@contextmanager
def curves(folder: Path, wanted: bool = True) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that adds a line of the log to the run's event files, which start with the existing log.

    It does nothing unless `wanted`.
    """
    if not wanted:
        yield lambda line: None
        return
    from torch.utils.tensorboard import SummaryWriter

    for old in folder.glob(_EVENTS):
        old.unlink()
    log = folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    began = time.time() - (lines[-1]["seconds"] if lines else 0)
    with SummaryWriter(folder, flush_secs=_FLUSH_SECONDS) as writer:

        def add(line: dict[str, Any]) -> None:
            for name in _CURVES:
                writer.add_scalar(name, line[name], line["step"], walltime=began + line["seconds"])

        for line in lines:
            add(line)
        yield add


def draw_finished(folder: Path) -> None:
    """Write event files from the log for a finished run that has none."""
    if not any(folder.glob(_EVENTS)):
        with curves(folder):
            pass
