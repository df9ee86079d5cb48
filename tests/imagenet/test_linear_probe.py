"""The published probe: its optimiser against its formula, its head against its definition, and a probe cut off."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy

from mae_lib.data.loading import Visits
from mae_lib.imagenet import sets
from mae_lib.imagenet.linear_probe import Head, ProbeRecipe, lars, recipe_of, train_head
from mae_lib.training import Hardware, checkpoints, hardware

RECIPE = ProbeRecipe(batch=20, epochs=3, warmup_epochs=1, base_lr=50.0)


def colour(images: torch.Tensor) -> torch.Tensor:
    return images.mean((2, 3))


def train(folder, recipe=RECIPE, read=colour, **options):
    visits = Visits(sets.imagenet("train"), 8, 64, recipe.crop, recipe.seed)
    return train_head(read, visits, 1000, recipe, folder, 0.0, Hardware("cpu", progress=False, **options))


def test_lars_is_the_published_formula():
    """Of facebookresearch/mae: rates scale with the norm of the matrix over that of its gradient; the bias's do not."""
    torch.manual_seed(1)
    recipe, (x, y) = ProbeRecipe(), (torch.randn(40, 6), torch.arange(40) % 5)
    torch.manual_seed(1)
    head = Head(6, 5).train()
    w, b = (p.detach().clone() for p in (head.linear.weight, head.linear.bias))
    optimiser, momentum = lars(head, recipe), [torch.zeros_like(w), torch.zeros_like(b)]
    z = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-6).sqrt()
    for lr in (0.5, 6.4, 3.0):
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.zero_grad()
        cross_entropy(head(x), y).backward()
        optimiser.step()
        slope = torch.func.grad(lambda w, b: cross_entropy(z @ w.T + b, y), argnums=(0, 1))(w, b)
        slope = (slope[0] * recipe.trust * w.norm() / slope[0].norm(), slope[1])
        momentum = [recipe.momentum * m + g for m, g in zip(momentum, slope)]
        w, b = w - lr * momentum[0], b - lr * momentum[1]
        torch.testing.assert_close(head.linear.weight, w, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(head.linear.bias, b, rtol=1e-4, atol=1e-6)


def test_the_published_schedule():
    schedule = ProbeRecipe().schedule(1_281_167)
    assert schedule.batch == 16384 and schedule.steps == 90 * 1_281_167 // 16384
    rates = [schedule.lr_at(step) for step in range(schedule.steps)]
    assert max(rates) == pytest.approx(6.4) and rates[-1] < 1e-4  # .1 x 16384 / 256
    assert rates.index(max(rates)) == pytest.approx(schedule.steps / 9, abs=1)
    assert ProbeRecipe().schedule(500).batch == 500


def test_a_probe_that_was_cut_off_ends_as_one_that_was_not(real_data, tmp_path, monkeypatch):
    whole = train(tmp_path / "whole")
    save, saved = checkpoints.save_state, []

    def stop(folder, step, *state):
        save(folder, step, *state)
        saved.append(step)
        if len(saved) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", save_seconds=0)
    assert not (tmp_path / "cut" / "done.json").exists() and saved == [1, 2, 3, 4]
    resumed = train(tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()))
    assert not list((tmp_path / "cut").glob("checkpoint-*"))
    found = train(tmp_path / "cut", read=lambda _: pytest.fail("trained twice"))
    assert torch.equal(found.linear.weight, whole.linear.weight) and not found.training


def test_two_workers_train_the_same_head(real_data, tmp_path, forked):
    one = train(tmp_path / "one")
    python, here = [sys.executable, "-m", "maebook.forkserver"], Path(__file__)
    torchrun = [*python, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "maebook.forkserver"]
    command = [*torchrun, here.stem, str(tmp_path / "two")]
    subprocess.run(command, cwd=here.parent, check=True, timeout=300, capture_output=True)
    two = train(tmp_path / "two", read=lambda _: pytest.fail("trained twice"))
    for a, b in zip(one.state_dict().values(), two.state_dict().values()):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_a_batch_that_does_not_split_is_refused(real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "rank_and_world", lambda: (0, 3))
    with pytest.raises(ValueError, match="batch 20 does not split into 3 workers"):
        train(tmp_path)


def test_colours_that_tell_the_class_are_read(real_data, tmp_path):
    head = train(tmp_path, ProbeRecipe(batch=32, epochs=60, warmup_epochs=5, base_lr=100.0))
    images = sets.imagenet("val")
    seen = torch.stack([torch.tensor(images.read(n).resize((1, 1), 4).getpixel((0, 0))) for n in range(64)]) / 255
    right = (head(seen).argmax(1).numpy() == images.labels).mean()
    assert right > 0.5  # sixteen colours in three numbers


def test_settings_that_do_not_fit_are_refused():
    assert recipe_of({"epochs": 20, "crop": [0.5, 1]}).crop == (0.5, 1)
    for options, says in [
        ({"epoch": 1}, "no setting 'epoch': choose among batch, epochs"),
        ({"epochs": 10}, "warms up for 10 of 10 epochs"),
        ({"batch": 0}, "batch is 0"),
        ({"momentum": 1.0}, "momentum below 1"),
    ]:
        with pytest.raises(ValueError, match=says):
            recipe_of(options)


if __name__ == "__main__":
    dist.init_process_group("gloo")
    train(Path(sys.argv[1]))
    dist.destroy_process_group()
