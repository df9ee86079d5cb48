"""A notebook or a build killed half-way: nothing half-written, nothing left running, and the next call goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from ground import wait_until
from small import CONFIG

ROOT = Path(__file__).resolve().parents[2]
TRAINS = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests" / "training")!r})
from small import CONFIG, train_small
from dataclasses import replace
run = train_small(place, replace(CONFIG, images=2000), save_seconds=0)
print(run.done["loss"], run.done["steps"])
"""


def notebook(path: Path, runs: Path) -> Path:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    parameters = nbformat.v4.new_code_cell(f'place: str = "{runs}"  # the runs', metadata={"tags": ["parameters"]})
    cells = [parameters, *map(nbformat.v4.new_code_cell, ("x = 1", TRAINS, "print('the end')"))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def kernels(mark: str) -> list[int]:
    """Processes whose command line or environment has the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes() and b"ipykernel" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def execute(source: Path, output: Path, mark: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "maebook", "execute", str(source), str(output)]
    return subprocess.Popen(
        command, env=os.environ | {"FAULT_MARK": mark}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def test_a_notebook_that_is_killed_half_way_goes_on(tmp_path, saw):
    moments = random.Random(0)
    for number in range(3):
        place, mark = tmp_path / str(number), f"fault-{tmp_path.name}-{number}"
        place.mkdir()
        source, output = notebook(place / "one.ipynb", place / "runs"), place / "out" / "one.ipynb"
        process = execute(source, output, mark)
        wait_until(lambda place=place: any(place.glob("runs/*/checkpoint-*.json")), process)
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        process.wait()
        assert not output.exists()
        wait_until(lambda mark=mark: not kernels(mark), process := _Forever())  # a kernel whose parent died ends too
        again = execute(source, output, mark)
        _, said = again.communicate(timeout=600)
        assert again.returncode == 0, said
        cells = nbformat.read(output, as_version=4).cells
        assert cells[-1].outputs[0].text == "the end\n" and cells[-2].outputs[0].text.endswith(" 100\n")
        assert [path.name for path in output.parent.iterdir()] == ["one.ipynb"]
        outcome = "nothing half-written, its kernel ends; the next call goes on from its run's checkpoint"
        saw("a notebook killed half-way", "python -m maebook execute, while a cell trains", outcome)


class _Forever:
    """A process that never ends, for waits that watch none."""

    exitcode = None


def test_a_build_that_is_killed_half_way_goes_on(tmp_path, saw):
    """One page by the pipeline of `make book`, whose whole process group is killed, then the same command again."""
    target = tmp_path / "notebooks" / "smoke" / "2_3_theorem_1.ipynb"
    command = [sys.executable, "-m", "snakemake", "--quiet", "all", "--cores", "1", "--rerun-incomplete", "--nolock"]
    command += [str(target), "--config", "preset=smoke"]
    environment = os.environ | {"MAE_LIB_RUNS": str(tmp_path)}
    options = {"cwd": ROOT, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    for wait in (0.0, 1.5):
        process = subprocess.Popen(command, start_new_session=True, **options)
        wait_until(lambda: any(target.parent.glob(".2_3_theorem_1.*.ipynb")) or target.exists(), process)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        wait_until(lambda: not kernels(str(tmp_path)), _Forever())  # what forks them, and they, end with the build
        if target.exists():
            pytest.fail("the page was done before the build could be killed")
    done = subprocess.run(command, timeout=600, **options)
    assert done.returncode == 0, done.stdout
    assert "run-card" in target.read_text() or nbformat.read(target, as_version=4).cells[-1].outputs
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    saw("a build killed half-way", "make book's pipeline, all its processes", "the next call makes the page whole", 2)


assert CONFIG.images < 2000
