"""A run's log for TensorBoard, when asked for: event files beside `log.jsonl`, seen by `tensorboard --logdir runs`.

Notable: the event files are written from the log and hold nothing else. A run that goes on writes them anew from the
lines that it keeps, so no step stands in them twice, and a run that is finished gets them without training.
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
_FLUSH_SECONDS = 10  # until what is written can be seen


def require_tensorboard() -> None:
    """Check that TensorBoard is installed; raises ValueError where it is not."""
    if find_spec("tensorboard") is None:
        raise ValueError("TensorBoard is not here: install mae_lib[tensorboard]")


@contextmanager
def curves(folder: Path, wanted: bool = True) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that adds a line of the log to the run's event files, which begin with the log as it stands.

    One that does nothing unless `wanted`.
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
    """Give a run that was finished without event files those of its log."""
    if not any(folder.glob(_EVENTS)):
        with curves(folder):
            pass
