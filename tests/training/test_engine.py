"""The training loop: schedule, divergence, and the same weights however a batch is spread."""

import atexit
import json
import math
from dataclasses import replace
from functools import partialmethod

import pytest
import torch
from small import CONFIG, SPREAD, images, same_weights, train_small, train_spread
from torch import nn

from mae_lib.devices import best_device
from mae_lib.training import CheckpointError, DivergedError, Hardware
from mae_lib.training.batches import mae_batches
from mae_lib.training.engine import Schedule, adamw, train
from mae_lib.training.hardware import WorkerLostError, apply_memory_options, process_group

CPU = torch.device("cpu")
QUIET = Hardware("cpu", progress=False)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return train_small(tmp_path_factory.mktemp("reference"), SPREAD)


@pytest.mark.parametrize("micro_batches", [2, 4])
def test_micro_batches_give_the_same_weights(tmp_path, reference, micro_batches):
    run = train_small(tmp_path, SPREAD, micro_batches=micro_batches)
    same_weights(run, reference, atol=2e-5)
    for ours, theirs in zip(run.history(), reference.history(), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)


def test_two_workers_with_any_micro_batch_give_the_same_weights(tmp_path, reference, forked):
    train_spread(tmp_path, reference, workers=2)


@pytest.mark.parametrize("option", ["checkpoint_blocks", "compiled"])
def test_cheaper_blocks_change_neither_result_nor_names(option, monkeypatch):
    """Recomputed, to the bit; compiled, here by a backend that only traces, to float error."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager", fullgraph=True))
    plain, eased = CONFIG.model(), CONFIG.model()
    eased.load_state_dict(plain.state_dict())
    apply_memory_options(eased, Hardware(**{option: True}))
    batch, mask = torch.rand(3, 3, 16, 16), CONFIG.masks().sample(0, 0, torch.arange(3))
    for model in (plain, eased):
        model(batch, mask).loss.backward()
    assert list(eased.state_dict()) == list(plain.state_dict())
    atol = 0 if option == "checkpoint_blocks" else 1e-6
    for (name, a), b in zip(plain.named_parameters(), eased.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(b.grad, a.grad, atol=atol, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_recomputed_blocks_keep_fewer_activations():
    kept = {}
    for option in (False, True):
        model = CONFIG.model()
        apply_memory_options(model, Hardware(checkpoint_blocks=option))
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):  # noqa: B023
            model(torch.rand(3, 3, 16, 16), CONFIG.masks().sample(0, 0, torch.arange(3)))
        kept[option] = sum(sizes)
    assert kept[True] < 0.6 * kept[False]


def test_a_batch_that_does_not_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch 20 does not split into 1 workers x 3 micro-batches"):
        train_small(tmp_path, micro_batches=3)


def test_learning_rate_warms_up_and_falls_to_zero():
    schedule = Schedule(steps=100, batch=8, lr=2.0, warmup=0.1)
    rates = [schedule.lr_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[9] == rates[10] == max(rates) == 2.0
    assert rates[55] == pytest.approx(1.0) and 0 < rates[99] < 1e-3 and schedule.lr_at(100) == 0.0
    assert all(a > b for a, b in zip(rates[10:], rates[11:]))
    assert Schedule(steps=1, batch=8, lr=2.0, warmup=0.0).lr_at(0) == 2.0


def test_only_matrices_are_decayed():
    model = CONFIG.model()
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, plain = adamw(model, CONFIG.schedule()).param_groups
    assert decayed["weight_decay"] == CONFIG.weight_decay and plain["weight_decay"] == 0
    assert {names[p].rsplit(".", 1)[-1] for p in decayed["params"]} == {"weight"}
    assert all(p.ndim >= 2 for p in decayed["params"])
    others = {names[p] for p in plain["params"]}
    assert {"cls_token", "mask_token", "norm.weight", "blocks.0.attn.qkv.bias"} <= others
    assert not {"pos_embed", "decoder_pos_embed"} & (others | {names[p] for p in decayed["params"]})


def test_groups_of_ones_own_learn_at_their_own_rate(tmp_path):
    slow, fast = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    model = nn.ModuleList([slow, fast])
    before = [one.weight.item() for one in model]
    groups = [
        {"params": [one.weight], "weight_decay": 0.0, "lr_scale": scale} for one, scale in ((slow, 0.1), (fast, 1.0))
    ]
    schedule = Schedule(steps=1, batch=4, lr=0.01, warmup=0.0, weight_decay=0.0)
    loss = lambda net, batch: sum(one.weight.sum() for one in net)  # noqa: E731
    train(
        model, lambda *where: where, loss, schedule, tmp_path, QUIET, lambda net, schedule: adamw(net, schedule, groups)
    )
    moved = [was - one.weight.item() for was, one in zip(before, model)]
    assert moved == pytest.approx([0.001, 0.01], rel=1e-3)


def spoilt(at):
    """A loss that is NaN at one step of a tiny model."""
    return lambda net, batch: net(torch.ones(len(batch[1]), 2)).square().mean() * (math.nan if batch[0] == at else 1)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_good_checkpoint(tmp_path):
    schedule = Schedule(steps=300, batch=4, lr=1e-3)  # a log line every 3 steps
    with pytest.raises(DivergedError, match=r"nan at step 101; .*checkpoint-000000099\.safetensors"):
        every = replace(QUIET, save_seconds=0)
        train(nn.Linear(2, 1), lambda *where: where, spoilt(101), schedule, tmp_path, every)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(3, 100, 3))
    result = train(nn.Linear(2, 1), lambda *where: where, spoilt(-1), schedule, tmp_path, QUIET)
    assert result["steps"] == 300 and math.isfinite(result["loss"])  # the cause gone, it goes on from there


def test_a_loss_that_is_not_finite_at_once_says_that_nothing_was_kept(tmp_path):
    with pytest.raises(DivergedError, match="nan at step 0; no checkpoint"):
        train(nn.Linear(2, 1), lambda *where: where, spoilt(0), Schedule(5, 4, 1e-3), tmp_path, QUIET)


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    """The last step's loss is finite, its gradient is not."""
    root = lambda net, batch: (net(torch.zeros(4, 2)) - net.bias).abs().sqrt().mean()  # noqa: E731
    with pytest.raises(DivergedError, match=r"finite but leads to a weight that is not finite at step 0"):
        train(nn.Linear(2, 1), lambda *where: where, root, Schedule(1, 4, 1e-3), tmp_path, QUIET)
    assert not list(tmp_path.glob("checkpoint-*"))


def test_every_pass_visits_every_image_once():
    batch_of = mae_batches(CONFIG, images(CONFIG), CPU)
    rows = torch.arange(CONFIG.batch)
    seen = torch.cat([batch_of(step, rows)[0] for step in range(3 * 96 // 20 + 1)])[: 3 * 96]
    either = lambda image: min(image.flatten().tolist(), image.flip(-1).flatten().tolist())  # noqa: E731 flips
    passes = [[tuple(either(image)) for image in part] for part in seen.view(3, 96, 3, 16, 16)]
    assert len(set(passes[0])) == 96
    assert set(passes[0]) == set(passes[1]) == set(passes[2])
    assert passes[0] != passes[1] != passes[2]
    assert seen.min() >= 0 and seen.max() == 1.0


def test_half_of_the_visits_are_mirrored_and_none_unless_asked():
    rows = torch.arange(CONFIG.batch)
    plain = mae_batches(replace(CONFIG, flip=False), images(CONFIG), CPU)
    flips = mae_batches(CONFIG, images(CONFIG), CPU)
    pairs = [(plain(step, rows)[0], flips(step, rows)[0]) for step in range(40)]
    mirrored = torch.cat([(a != b).flatten(1).any(1) for a, b in pairs])
    assert abs(mirrored.double().mean() - 0.5) < 0.09  # five deviations of 800 fair coins
    for a, b in pairs:
        turned = (a != b).flatten(1).any(1)
        assert torch.equal(a[turned].flip(-1), b[turned])


@pytest.mark.parametrize("name", ["tpu-like", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=name):
        best_device(name)


def test_a_worker_that_is_lost_is_one_line_and_other_errors_pass(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(atexit, "register", lambda call: None)
    for says, kind in (("[tcp] Connection closed by peer", WorkerLostError), ("out of memory", RuntimeError)):
        with pytest.raises(kind), process_group(CPU):
            raise RuntimeError(says)


def test_a_damaged_log_is_named(tmp_path):
    for text in ('{"step": 1}\n{"st}\n{"step": 3}\n', '{"no": 1}\n', "[1}\n"):
        (tmp_path / "log.jsonl").write_text(text)
        with pytest.raises(CheckpointError, match=r"log\.jsonl: a line is damaged"):
            train(nn.Linear(2, 1), lambda *where: where, spoilt(-1), Schedule(2, 4, 1e-3), tmp_path, QUIET)
