"""Every coding exercise, tried as students will: its solution passes, and what is none fails with a reason."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode

from mae_lib.presets import load_preset
from maebook.teaching.execution import attempt, prepared
from maebook.teaching.exercises import STUB, ContractError, chapters, exercises, read

WRONG = {"stub": STUB, "return None": "return None"}  # what must fail


@dataclass(frozen=True)
class Trial:
    """How one exercise went; `faults` is empty for an exercise that can be given to a class."""

    chapter: str
    label: str
    faults: tuple[str, ...]
    seconds: float


def _faults(book: NotebookNode, exercise: Any, space: dict[str, Any]) -> Iterator[str]:
    solved = attempt(book, exercise, space)
    if not solved.passed:
        yield f"the solution fails its check: {solved.said}"
    for name, code in WRONG.items():
        tried = attempt(book, exercise, space, code)
        if tried.passed:
            yield f"`{name}` passes the check"
        elif name != "stub" and not isinstance(tried.error, AssertionError):
            yield f"`{name}` ends in {tried.said}, and not in a sentence of the check"
        elif not str(tried.error).strip():
            yield f"`{name}` fails, and the check does not say why"


def trials(book: NotebookNode, chapter: str, preset: str = "smoke", only: str = "") -> Iterator[Trial]:
    """Each coding exercise of a chapter, or that labelled `only`, tried with the preset's parameters."""
    parameters = {k: v for k, v in load_preset(preset).items() if k != "scale"}
    for exercise in exercises(book):
        if exercise.coded and only in ("", exercise.label):
            started = time.perf_counter()
            try:
                found = tuple(_faults(book, exercise, prepared(book, [exercise.label], parameters)))
            except Exception as error:
                found = (f"the cells that it needs fail: {type(error).__name__}: {error}",)
            yield Trial(chapter, exercise.label, found, time.perf_counter() - started)


def rehearse(tried: Iterable[Trial]) -> list[Trial]:
    """Print how each trial went. Raises ContractError when any has a fault."""
    done = []
    for trial in tried:
        print(f"{trial.chapter:24} {trial.label:32} {trial.seconds:6.1f} s  {'; '.join(trial.faults) or 'good'}")
        done.append(trial)
    if faulty := [f"{trial.chapter}/{trial.label}" for trial in done if trial.faults]:
        raise ContractError(f"{len(faulty)} of {len(done)} have faults: {', '.join(faulty)}")
    print(f"{len(done)} tried: solutions pass, stubs fail with a reason, and nbgrader releases what it should")
    return done


def all_trials(preset: str = "smoke", only: str = "") -> Iterator[Trial]:
    """The coding exercises of all chapters, or of those whose name holds `only`."""
    for path in chapters():
        if only in path.stem:
            yield from trials(read(path), path.stem, preset)
