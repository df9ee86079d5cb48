"""The log for TensorBoard: the same lines, each once, however often a run was cut off; nothing unless asked for."""

import subprocess
import sys
import types
from collections import Counter
from dataclasses import replace

import pytest
from small import CONFIG, train_small

from mae_lib.__main__ import main
from mae_lib.training import Hardware
from mae_lib.training import tensorboard as ours
from mae_lib.training.engine import DivergedError, Schedule, train

WRITTEN = "events.out.tfevents.1"


class Writer:
    """Instead of TensorBoard's: writes what it is told into one file, a line a scalar."""

    def __init__(self, folder, flush_secs):
        self.path = folder / WRITTEN

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def add_scalar(self, name, value, step, walltime):
        before = self.path.read_text() if self.path.exists() else ""
        self.path.write_text(f"{before}{name} {step} {value!r} {walltime:.1f}\n")


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(ours, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))


def drawn(folder) -> list[tuple[str, int, float]]:
    lines = [line.split() for line in (folder / WRITTEN).read_text().splitlines()]
    return [(name, int(step), float(value)) for name, step, value, _ in lines]


def logged(run) -> list[tuple[str, int, float]]:
    return [(name, line["step"], line[name]) for line in run.history() for name in ("loss", "lr", "images_per_second")]


def test_the_curves_are_the_log_and_only_if_asked_for(tmp_path, fake):
    plain, asked = train_small(tmp_path / "a"), train_small(tmp_path / "b", tensorboard=True)
    assert not (plain.directory / WRITTEN).exists() and drawn(asked.directory) == logged(asked)
    assert plain.directory.name == asked.directory.name, "it is no part of a run's address"
    train_small(tmp_path / "a", tensorboard=True)  # which was finished, and is not trained again
    assert drawn(plain.directory) == logged(plain)


def test_a_run_that_goes_on_draws_no_step_twice(tmp_path, fake):
    """It dies at a step, with lines in the log behind the checkpoint that it goes on from."""
    schedule, hardware = Schedule(300, 4, 1e-3), Hardware("cpu", progress=False, tensorboard=True, save_seconds=0)
    torch = sys.modules["torch"]

    def loss(spoilt):
        return lambda net, batch: net(torch.ones(4, 2)).square().mean() * (float("nan") if batch[0] == spoilt else 1)

    for spoilt, saves in ((101, 0), (201, 1e9), (-1, 1e9)):
        args = (torch.nn.Linear(2, 1), lambda *where: where, loss(spoilt), schedule, tmp_path)
        if spoilt > 0:
            with pytest.raises(DivergedError):
                train(*args, replace(hardware, save_seconds=saves))
        else:
            train(*args, replace(hardware, save_seconds=saves))
    steps = [step for name, step, _ in drawn(tmp_path) if name == "loss"]
    assert steps == list(range(3, 301, 3)), Counter(steps).most_common(3)


def test_without_it_the_error_names_the_extra_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ours, "find_spec", lambda name: None)
    commands = ["pretrain", "--runs", str(tmp_path)], ["series", "--out", str(tmp_path / "out")]
    for command in commands:
        assert main([*command, "--preset", "smoke", "--tensorboard", "--device", "cpu"]) == 2
        error = capsys.readouterr().err
        assert "install mae_lib[tensorboard]" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_series_draws_the_runs_that_it_trains(tmp_path, fake, tiny_preset, monkeypatch):
    from mae_lib.studies import publish

    given = []
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    monkeypatch.setattr(publish, "_in_time", lambda parts, minutes: iter(list(parts.items())[-1:]))
    monkeypatch.setattr(publish, "_do", lambda series, sections, reader, hardware: (given.append(hardware), {}))
    monkeypatch.setattr(publish, "_add", lambda *_: None)
    monkeypatch.setattr(publish, "_ship", lambda *_: None)
    for flag in ([], ["--tensorboard"]):
        assert main(["series", "--preset", str(tiny_preset), "--out", str(tmp_path / "out"), *flag]) == 0
    assert [hardware.tensorboard for hardware in given] == [False, True]


def test_tensorboard_itself_reads_the_curves(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train_small(tmp_path, tensorboard=True)
    events = EventAccumulator(str(run.directory)).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "lr", "images_per_second"}
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    assert found == [(line["step"], pytest.approx(line["loss"], rel=1e-6)) for line in run.history()]
    assert CONFIG.schedule().steps == found[-1][0]


def test_training_imports_nothing_of_it():
    code = "import sys, mae_lib.training; sys.exit('tensorboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
