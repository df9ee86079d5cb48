"""Workers that die under torchrun, and processes that ask for the same run at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ground import RUN, assert_one_line, assert_same_bits, kill, lines_of, start, trains, wait_until
from small import CONFIG, SPREAD, same_weights, train_small, train_spread

from mae_lib.training import Run, checkpoints

SCRIPT = str(Path(__file__).resolve().parents[1] / "training" / "small.py")
COMMAND = [sys.executable, "-m", "mae_lib", "pretrain", "--preset", "smoke", "--quiet", "--device", "cpu"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {config: train_small(tmp_path_factory.mktemp("whole"), config) for config in (CONFIG, RUN)}


def torchrun(workers: int, *command: str) -> subprocess.Popen:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)]
    return subprocess.Popen([*launcher, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(process: subprocess.Popen) -> list[int]:
    """Its workers, in the order of their ranks, which is that in which they were started."""
    return sorted(map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_dies_ends_the_run_and_two_go_on_from_its_checkpoint(tmp_path, whole, saw, rank):
    folder = tmp_path / CONFIG.name
    process = torchrun(2, SCRIPT, str(tmp_path), "0")
    wait_until(lambda: lines_of(folder / "log.jsonl") >= 10, process)
    os.kill(children(process)[rank], signal.SIGKILL)
    process.communicate(timeout=600)
    assert process.returncode != 0 and not (folder / "done.json").exists()
    assert int(checkpoints.latest(folder).stem[-9:]) >= 8
    again = torchrun(2, SCRIPT, str(tmp_path), "0")
    again.communicate(timeout=600)
    assert again.returncode == 0
    run = Run(folder)
    assert run.done["workers"] == 2 and [line["step"] for line in run.history()] == list(range(1, 41))
    same_weights(run, whole[CONFIG], atol=2e-5)
    saw(
        "a worker that dies",
        f"rank {rank} of two under torchrun",
        "the launcher ends; restarted, the run ends with the same weights",
    )


def test_the_worker_that_is_left_says_one_line(tmp_path, saw):
    settings = ["--runs", str(tmp_path), "--set", "images=64000", "--set", "unique_images=64"]
    process = torchrun(2, *COMMAND[1:], *settings)
    wait_until(lambda: any(map(lines_of, tmp_path.glob("*/log.jsonl"))), process)
    os.kill(children(process)[1], signal.SIGKILL)
    _, said = process.communicate(timeout=600)
    lines = [line for line in said.splitlines() if line.startswith("python -m mae_lib: error")]
    assert process.returncode != 0 and len(lines) <= 1  # torchrun may end it before it can speak
    for line in lines:
        assert_one_line(line, "another worker went away; the same command goes on from the last checkpoint")
    saw(
        "a worker that dies",
        "the surviving worker's message",
        "one line" if lines else "nothing: torchrun ended it first",
    )


def test_four_workers_with_any_micro_batch_give_the_same_weights(tmp_path, saw):
    train_spread(tmp_path / "four", train_small(tmp_path / "one", SPREAD), workers=4)
    saw("how a batch is spread", "four workers x 1, 2 and 4 micro-batches, 20 steps", "the same weights", 3)


def test_processes_that_ask_at_once_train_once(tmp_path, whole, saw):
    for number in range(6):
        runs = tmp_path / str(number)
        processes = [start(trains, runs) for _ in range(3)]
        for process in processes:
            process.join(600)
        assert [process.exitcode for process in processes] == [0, 0, 0]
        assert_same_bits(Run(runs / RUN.name), whole[RUN])
        saw("one run asked for twice", "three processes at once", "one trains, the others wait and read")


def test_the_one_that_waits_takes_over_when_the_one_that_trains_is_killed(tmp_path, whole, saw):
    for number in range(5):
        runs = tmp_path / str(number)
        first = start(trains, runs)
        wait_until(lambda runs=runs: lines_of(runs / RUN.name / "log.jsonl") >= 5, first)
        second = start(trains, runs)
        assert kill(first) == -9
        second.join(600)
        assert second.exitcode == 0
        assert_same_bits(Run(runs / RUN.name), whole[RUN])
        outcome = "the other goes on from its checkpoint to the same bits"
        saw("one run asked for twice", "two processes, and the one that trains is killed", outcome)


def test_a_command_that_waits_says_so(tmp_path, saw):
    settings = ["--runs", str(tmp_path), "--set", "images=64000", "--set", "unique_images=64"]
    first = subprocess.Popen([*COMMAND, *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(map(lines_of, tmp_path.glob("*/log.jsonl"))), first)
    second = subprocess.Popen([*COMMAND, *settings], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = second.stderr.readline()
    for process in (second, first):
        process.kill()
        process.wait()
    assert_one_line(said, "another process is at it; waiting")
    saw("one run asked for twice", "by the command, at once", "the second says that it waits")
