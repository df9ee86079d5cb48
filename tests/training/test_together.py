"""Models that train together: each as it would have been alone, in its own folder, resumed to the bit."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from small import CONFIG, images, same_weights, train_small

from mae_lib.presets import load_preset
from mae_lib.training import DivergedError, Run, checkpoints, find
from mae_lib.training.series import Series
from mae_lib.training.together import Stack, train_together

# Two seeds and another unit: all show the encoder six patches of sixteen.
CONFIGS = [CONFIG, replace(CONFIG, seed=1), replace(CONFIG, unit=4)]


@pytest.fixture(autouse=True)
def slow_attention():
    """A CPU has no batched kernel for attention, and torch says so once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")
        yield


def together(runs, configs=CONFIGS, **options):
    return train_together(configs, lambda: images(CONFIG), runs, "cpu", progress=False, **options)


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")
        return together(tmp_path_factory.mktemp("joint"))


def test_each_is_what_it_would_have_been_alone(joint, tmp_path):
    for config, run in zip(CONFIGS, joint, strict=True):
        alone = train_small(tmp_path, config)
        same_weights(run, alone, atol=2e-5)
        assert run.config == config and find(config, run.directory.parent) == run
        assert run.done["together"] == 3 and run.done.keys() - {"together"} == alone.done.keys()
        assert not list(run.directory.glob("checkpoint-*"))
        for ours, theirs in zip(run.history(), alone.history(), strict=True):
            assert ours.keys() == theirs.keys() and ours["step"] == theirs["step"] and ours["lr"] == theirs["lr"]
            assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)


def test_runs_that_are_there_are_read_and_only_the_others_trained(joint, tmp_path):
    first = train_small(tmp_path)
    written = (first.directory / "done.json").stat().st_mtime_ns
    runs = together(tmp_path)
    assert runs[0] == first and (first.directory / "done.json").stat().st_mtime_ns == written
    assert runs[1].done["together"] == 2
    same_weights(runs[1], joint[1], atol=2e-5)
    assert [run.directory.name for run in runs] == [run.directory.name for run in joint]


class Killed(BaseException):
    """What no code catches."""


def stopped_at(monkeypatch, call):
    """Die in the call-th saving of a checkpoint, before it is written."""
    save, calls = checkpoints.save_state, []

    def counted(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Killed
        save(*arguments)

    monkeypatch.setattr(checkpoints, "save_state", counted)


@pytest.mark.parametrize("call", [13, 14, 15])
def test_a_kill_at_any_model_of_a_checkpoint_changes_no_bit(joint, tmp_path, monkeypatch, call):
    stopped_at(monkeypatch, call)
    with pytest.raises(Killed):
        together(tmp_path, save_seconds=0)
    monkeypatch.undo()
    runs = together(tmp_path)
    for run, whole in zip(runs, joint, strict=True):
        ours, theirs = run.load().state_dict(), whole.load().state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert [line["step"] for line in run.history()] == list(range(1, 41))


def test_what_was_begun_together_goes_on_alone_and_joins_later(joint, tmp_path, monkeypatch):
    stopped_at(monkeypatch, 61)  # after 20 of 40 steps
    with pytest.raises(Killed):
        together(tmp_path, save_seconds=0)
    monkeypatch.undo()
    alone = train_small(tmp_path, CONFIGS[1])
    checkpoints.prune(tmp_path / CONFIGS[2].name)  # this one must begin anew
    runs = together(tmp_path)
    assert "together" not in alone.done and [run.done.get("together") for run in runs] == [1, None, 1]
    for run, whole in zip(runs, joint, strict=True):
        same_weights(run, whole, atol=2e-5)


def test_models_that_differ_in_shape_are_refused(tmp_path):
    for other in (replace(CONFIG, mask_ratio=0.9), replace(CONFIG, width=32), replace(CONFIG, batch=10)):
        with pytest.raises(ValueError, match="cannot train together"):
            together(tmp_path, [CONFIG, other])
    assert together(tmp_path, []) == [] and not list(tmp_path.iterdir())


def test_gradients_are_clipped_model_by_model():
    models = [CONFIG.model() for _ in range(2)]
    stack = Stack(models)
    stack.buffers["pixel_std"][1] /= 1000  # large pixels, a large gradient
    mask = CONFIG.masks().sample(0, 0, torch.arange(4))
    batch = torch.rand(4, 3, 16, 16), mask
    stack.losses([batch, batch]).sum().backward()
    with torch.no_grad():
        models[1].pixel_std /= 1000
    for model in models:
        model(*batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.7)
    stack.clip(0.7)
    for name, p in stack.parameters.items():
        for number, model in enumerate(models):
            if p.grad is not None:
                torch.testing.assert_close(p.grad[number], model.get_parameter(name).grad, atol=1e-6, rtol=1e-4)


def test_the_run_that_diverges_is_named(tmp_path, monkeypatch):
    losses = Stack.losses
    spoilt = torch.tensor([1.0, math.nan, 1.0])
    monkeypatch.setattr(Stack, "losses", lambda self, batches: losses(self, batches) * spoilt)
    with pytest.raises(DivergedError, match=rf"{CONFIGS[1].name}: the loss is nan at step 0"):
        together(tmp_path)


def test_a_series_trains_its_seeds_together(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    tiny = load_preset("smoke")["scale"] | {"unique_images": 16, "images": 32, "batch": 16, "width": 16, "depth": 1}
    series = Series.of("smoke", [0.5, 0.75], [8], [0, 1], tiny)
    runs = series.train("cpu", together=True)
    assert "pretraining together 2 of 2: ratio 0.75, unit 8 px, seeds 0, 1" in capsys.readouterr().out
    assert all(isinstance(run, Run) and run.done["together"] == 2 for run in runs.values())
    assert series.train("cpu") == runs and capsys.readouterr().out == ""
