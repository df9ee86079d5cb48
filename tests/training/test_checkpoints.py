"""Checkpoints: what goes in comes out, what is damaged is refused by name, what stood before is not lost."""

import hashlib
import json
import os

import pytest
import torch

from mae_lib.training import CheckpointError, checkpoints

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([True, False]), "c": torch.randn(40, 40).half()}
ABOUT = {"step": 3}


@pytest.fixture
def saved(tmp_path):
    checkpoints.save(tmp_path / "one", TENSORS, ABOUT)
    return tmp_path / "one"


def test_what_goes_in_comes_out(saved, tmp_path):
    tensors, about = checkpoints.load(saved)
    assert about == ABOUT
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "one.safetensors"]
    assert checkpoints.load(f"{saved}.safetensors")[1] == ABOUT


def test_views_and_shared_storage_are_saved_as_values(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    checkpoints.save(tmp_path / "v", {"turned": base.T, "base": base}, {})
    tensors, _ = checkpoints.load(tmp_path / "v")
    assert torch.equal(tensors["turned"], base.T) and torch.equal(tensors["base"], base)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.98])
@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_truncated_file_is_refused(saved, suffix, share):
    file = saved.with_suffix(suffix)
    os.truncate(file, int(file.stat().st_size * share))
    with pytest.raises(CheckpointError, match=f"{file.name}: truncated"):
        checkpoints.load(saved)


def test_any_flipped_bit_is_refused(saved):
    file = saved.with_suffix(".safetensors")
    good = file.read_bytes()
    for place in range(0, len(good), 97):
        file.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        with pytest.raises(CheckpointError, match=r"one\.safetensors: truncated or altered"):
            checkpoints.load(saved)


@pytest.mark.parametrize("claim", [[], {}, {"format": "other 1", "sha256": "", "about": {}}, {"format": None}])
def test_a_foreign_json_is_refused(saved, claim):
    saved.with_suffix(".json").write_text(json.dumps(claim))
    with pytest.raises(CheckpointError, match=r"one\.json: not a checkpoint of mae_lib"):
        checkpoints.load(saved)


def test_any_flipped_bit_of_the_json_is_refused_or_changes_nothing(saved):
    """Blanks between its parts are the only bytes that may be others."""
    file = saved.with_suffix(".json")
    good = file.read_bytes()
    for place in range(len(good)):
        for bit in (place % 8, 5):  # the fifth turns capitals into small letters
            file.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            try:
                assert checkpoints.load(saved)[1] == ABOUT
            except CheckpointError as error:
                assert "one.json: " in str(error)
            else:
                assert chr(good[place]).isspace()


def test_a_foreign_tensor_file_is_refused_even_with_its_hash(saved):
    saved.with_suffix(".safetensors").write_bytes(b"PK\x03\x04 a pickle in a zip")
    claim = json.loads(saved.with_suffix(".json").read_text())
    del claim["seal"]
    claim["sha256"] = hashlib.sha256(saved.with_suffix(".safetensors").read_bytes()).hexdigest()
    saved.with_suffix(".json").write_text(json.dumps(claim | {"seal": checkpoints._seal(claim)}))
    with pytest.raises(CheckpointError, match=r"one\.safetensors: not a safetensors file"):
        checkpoints.load(saved)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_half_of_a_pair_is_refused(saved, suffix):
    saved.with_suffix(suffix).unlink()
    with pytest.raises(CheckpointError, match=rf"one\{suffix}: cannot be read \(No such file"):
        checkpoints.load(saved)


def test_a_disk_that_refuses_leaves_the_previous_pair(saved, tmp_path, monkeypatch):
    """The disk fills up with the second file: neither is moved, and no temporary file stays."""
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot be written.*No space left"):
        checkpoints.save(saved, {"a": torch.zeros(2)}, {"step": 4})
    tensors, about = checkpoints.load(saved)
    assert about == ABOUT and torch.equal(tensors["a"], TENSORS["a"])
    assert len(list(tmp_path.iterdir())) == 2


def stepped(folder, step):
    torch.manual_seed(step)
    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.randn(4, 3)).sum().backward()
    optimiser.step()
    checkpoints.save_state(folder, step, model, optimiser, seconds=1.5)
    return model, optimiser


def test_state_of_model_and_optimiser_come_back(tmp_path):
    model, optimiser = stepped(tmp_path, 1)
    other = torch.nn.Linear(3, 2)
    fresh = torch.optim.AdamW(other.parameters(), fused=True)
    assert checkpoints.resume(tmp_path, other, fresh) == (1, 1.5)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert all(torch.equal(optimiser.state[a][key], fresh.state[b][key]) for key in optimiser.state[a])


def test_only_the_newest_complete_checkpoint_counts(tmp_path):
    assert checkpoints.latest(tmp_path) is None
    stepped(tmp_path, 1)
    stepped(tmp_path, 2)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "checkpoint-000000003.safetensors").write_bytes(b"half a file")  # a kill before its JSON
    assert checkpoints.latest(tmp_path) == tmp_path / "checkpoint-000000002.safetensors"


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    stepped(tmp_path, 1)
    for other in (torch.nn.Linear(4, 2), torch.nn.Sequential(torch.nn.Linear(3, 2))):
        with pytest.raises(CheckpointError, match="belongs to another model"):
            checkpoints.resume(tmp_path, other, torch.optim.AdamW(other.parameters()))


def test_a_state_whose_parts_do_not_fit_is_refused(tmp_path):
    model, optimiser = stepped(tmp_path, 1)
    good = checkpoints.state_of(model, optimiser)
    wrong = {"optimiser.weight.exp_avg": torch.zeros(3), "optimiser.bias.step": torch.zeros(2)}
    for name, value in wrong.items():
        checkpoints.save(tmp_path / "checkpoint-000000001", good | {name: value}, {"step": 1, "seconds": 1.0})
        with pytest.raises(CheckpointError, match=r"belongs to another model.*another shape"):
            checkpoints.resume(tmp_path, model, optimiser)


@pytest.mark.parametrize("about", [{}, {"step": "1", "seconds": 0.5}, {"step": 1}, [1], None])
def test_a_checkpoint_that_does_not_say_where_it_stands_is_refused(tmp_path, about):
    model, optimiser = stepped(tmp_path, 1)
    checkpoints.save(tmp_path / "checkpoint-000000001", checkpoints.state_of(model, optimiser), about)
    with pytest.raises(CheckpointError, match="no checkpoint of a run in progress"):
        checkpoints.resume(tmp_path, model, optimiser)


def test_what_a_killed_writer_left_is_swept_and_nothing_else(saved, tmp_path):
    (tmp_path / "one.json.4711.tmp").write_text("half")
    checkpoints.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "one.safetensors"]


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path):
    with pytest.raises(CheckpointError, match=r"checkpoint-000000002\.safetensors: cannot be written"):
        checkpoints.save_state(tmp_path / "gone", 2, *stepped(tmp_path, 2), seconds=1.0)
    assert not (tmp_path / "gone").exists()
