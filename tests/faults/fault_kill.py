"""SIGKILL at random moments, and before every single step of saving: the run goes on and ends with the same bits."""

import os
import random
import time

import pytest
from ground import LEFT, RUN, SHORT, assert_same_bits, dies_at, kill, start, train_run, trains

from mae_lib.training import Run

KILLS = int(os.environ.get("KILLS", 50))
FAULT = "a kill (SIGKILL)"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {config: train_run(tmp_path_factory.mktemp("whole"), config) for config in (RUN, SHORT)}


def seconds_of(work, *arguments) -> float:
    """The time of one process that nobody kills; the first one also starts the fork server."""
    for _ in range(2):
        begun = time.time()
        process = start(work, *arguments)
        process.join()
        assert process.exitcode == 0
        arguments = (arguments[0].with_name("again"), *arguments[1:])
    return time.time() - begun


def test_a_run_killed_at_any_moment_ends_with_the_same_bits(tmp_path, whole, saw):
    moments, seconds = random.Random(0), seconds_of(trains, tmp_path / "timed")
    kills = begun = 0
    while kills < KILLS:
        begun += 1
        assert begun < 3 * KILLS, "most runs end before they are killed"
        runs = tmp_path / str(begun)
        process = start(trains, runs)
        time.sleep(moments.uniform(0, seconds))
        if kill(process) != -9:
            continue  # it had finished
        kills += 1
        checkpoint = any(runs.glob("*/checkpoint-*.json"))
        assert_same_bits(train_run(runs), whole[RUN])
        outcome = "resumed from its checkpoint to the same bits" if checkpoint else "begun again, to the same bits"
        saw(FAULT, "a training run, at a random moment", outcome)


def test_a_run_killed_before_any_step_of_saving_ends_with_the_same_bits(tmp_path, whole, saw):
    point, ended = 0, False
    while not ended:
        point += 1
        process = start(dies_at, point, tmp_path / str(point), SHORT)
        process.join()
        ended = process.exitcode == 0
        assert ended or process.exitcode == -9
        assert_same_bits(train_run(tmp_path / str(point), SHORT), whole[SHORT])
        if not ended:
            saw(FAULT, "a training run, before each file that it flushes, moves or removes", "the same bits")
    assert point > 20


def test_a_run_killed_again_and_again_still_comes_to_its_end(tmp_path, whole, saw):
    """Killed soon after every new checkpoint, in one folder."""
    folder, kills, steps = tmp_path / RUN.name, 0, -1
    while not (folder / "done.json").exists():
        process = start(trains, tmp_path)
        while process.exitcode is None:
            found = sorted(folder.glob("checkpoint-*.json"))
            if found and int(found[-1].stem[-9:]) > steps + 1:
                steps = int(found[-1].stem[-9:])
                break
            time.sleep(0.002)
        kills += kill(process) == -9
    assert kills > 4 and {path.name for path in folder.iterdir()} == LEFT
    assert_same_bits(Run(folder), whole[RUN])
    saw(FAULT, "one run, again and again, soon after each new checkpoint", "the same bits", kills)
