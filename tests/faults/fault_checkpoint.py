"""Checkpoints cut short, altered or foreign: refused in one line that names the file, and nothing in them runs."""

import hashlib
import json
import os
import pickle
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from ground import RUN, assert_one_line, assert_same_bits, lines_of, start, train_run, trains, wait_until
from small import CONFIG

from mae_lib.training import CheckpointError, checkpoints, load_model

FAULT = "a checkpoint"
TRIALS = 100


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train_run(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run that was killed half-way."""
    runs = tmp_path_factory.mktemp("begun")
    log = runs / RUN.name / "log.jsonl"
    process = start(trains, runs)
    wait_until(lambda: lines_of(log) >= 8, process)
    process.kill()
    process.join()
    assert checkpoints.latest(log.parent)
    return runs


def refused(runs: Path, name: str) -> None:
    """Asking for the run is one line that names the file, and leaves the folder as it is."""
    folder = runs / RUN.name
    before = {path.name for path in folder.glob("checkpoint-*")}
    with pytest.raises(CheckpointError) as error:
        train_run(runs)
    assert_one_line(str(error.value), str(folder / name))
    assert {path.name for path in folder.glob("checkpoint-*")} == before


def spoil(file: Path, how: str, chance: random.Random) -> None:
    good = file.read_bytes()
    place = chance.randrange(len(good))
    if how == "cut short":
        os.truncate(file, place)
    else:
        file.write_bytes(good[:place] + bytes([good[place] ^ 1 << chance.randrange(8)]) + good[place + 1 :])


@pytest.mark.parametrize("how", ["cut short", "with one bit flipped"])
@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_spoilt_checkpoint_is_refused_and_the_good_one_goes_on(begun, whole, tmp_path, saw, how, suffix):
    chance = random.Random(f"{how}{suffix}")
    runs = tmp_path / "runs"
    shutil.copytree(begun, runs)
    file = checkpoints.latest(runs / RUN.name).with_suffix(suffix)
    good = file.read_bytes()
    what = f"{'its tensors' if suffix == '.safetensors' else 'its JSON'} {how}"
    for _ in range(TRIALS):
        spoil(file, how, chance)
        if suffix == ".json" and blank(file) == blank(good):
            saw(FAULT, what, "a blank between its parts: read, for nothing that counts was altered")
        else:
            refused(runs, file.name)
            saw(FAULT, what, "refused; the message names the file")
        file.write_bytes(good)
    assert_same_bits(train_run(runs), whole)


def blank(content: Path | bytes) -> object:
    """What a JSON file says, or a mark that it is none."""
    content = content.read_bytes() if isinstance(content, Path) else content
    try:
        return json.loads(content)
    except ValueError:
        return content


class Trap:
    """A pickle that touches a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def foreign(file: Path, trap: Path) -> dict[str, bytes]:
    """Files that are no checkpoint of this run, and some that would run code if anybody let them."""
    other = replace(CONFIG, width=32).model()
    torch.save({"model": Trap(trap)}, file.with_name("trap.pt"))
    archive = file.with_name("trap.pt").read_bytes()
    file.with_name("trap.pt").unlink()
    large = (1 << 60).to_bytes(8, "little") + b"{}"
    outside = {"../../escaped": torch.zeros(2), "/escaped": torch.zeros(2)}
    return {
        "a pickle": pickle.dumps(Trap(trap)),
        "an archive of torch.save": archive,
        "an empty file": b"",
        "a header that claims 2^60 bytes": large,
        "noise": random.Random(0).randbytes(1000),
        "another model's tensors": safetensors.torch.save(other.state_dict()),
        "tensors named like paths": safetensors.torch.save(outside),
    }


def test_a_foreign_checkpoint_is_refused_though_its_hashes_are_right(begun, tmp_path, saw):
    runs, trap = tmp_path / "runs", tmp_path / "sprung"
    shutil.copytree(begun, runs)
    file = checkpoints.latest(runs / RUN.name)
    claim = json.loads(file.with_suffix(".json").read_text())
    for content in foreign(file, trap).values():
        file.write_bytes(content)
        sealed = {k: v for k, v in claim.items() if k != "seal"} | {"sha256": hashlib.sha256(content).hexdigest()}
        file.with_suffix(".json").write_text(json.dumps(sealed | {"seal": checkpoints._seal(sealed)}))
        refused(runs, file.name)
        with pytest.raises(CheckpointError) as error:
            load_model(file)
        assert_one_line(str(error.value).splitlines()[0], str(file.with_suffix("")))
        assert not trap.exists() and {path.name for path in tmp_path.iterdir()} == {"runs"}
        saw(
            FAULT,
            "from elsewhere, its hashes right: pickles, noise, another model's, names like paths",
            "refused; the message names the file",
        )


def test_a_claim_that_says_nonsense_is_refused(begun, tmp_path, saw):
    runs = tmp_path / "runs"
    shutil.copytree(begun, runs)
    head = checkpoints.latest(runs / RUN.name).with_suffix(".json")
    claims = [b"[" * 100_000, b"null", b"[]", b'{"format": "mae_lib checkpoint 2"}', b"\xff\xfe", b'"text"', b"1e999"]
    for content in claims:
        head.write_bytes(content)
        refused(runs, head.name)
        saw(FAULT, "whose JSON is nonsense", "refused; the message names the file")
