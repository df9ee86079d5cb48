"""A disk that is full at whatever is being written: one line that names the file; with room made, nothing is lost."""

from functools import partial

import nbformat
import numpy as np
import pytest
from ground import (
    RUN,
    assert_one_line,
    assert_same_bits,
    leave_free,
    limited,
    small_disk,
    start,
    train_run,
    trains,
)

from mae_lib.training import Run
from mae_lib.worlds import make_world, rendered
from maebook.execute import NotebookError, execute

FAULT = "a full disk"
SIZE = 2048  # kilobytes
WORLD = partial(make_world, "figurines", size=32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train_run(tmp_path_factory.mktemp("whole"))


def kind(text: str) -> str:
    """Which file an error names."""
    named = ("checkpoint", "log", "config", "model", "done")
    name = text.split(": ")[0].rsplit("/", 1)[-1]
    return next((one for one in named if name.startswith(one)), name)


def one_run(tmp_path, free: int, whole, saw) -> str | None:
    """Train with so many kilobytes free, then with room; the file at which the disk was full."""
    disk, said = tmp_path / f"disk{free}", tmp_path / f"said{free}"
    with small_disk(disk, SIZE) as mounted:
        filler = leave_free(disk, free) if mounted else None
        process = start(trains, disk, said) if mounted else start(limited, free, trains, disk, said)
        process.join()
        if process.exitcode == 2:
            assert_one_line(said.read_text(), str(disk), "cannot be written", "No space" if mounted else "too large")
            assert not list(disk.glob("*/*.tmp"))
            if filler:
                filler.unlink()
        else:
            assert process.exitcode == 0
        assert_same_bits(train_run(disk), whole)
        if process.exitcode == 0:
            return None
        file = kind(said.read_text())
        saw(FAULT, f"while a run writes its {file}", "one line that names the file; once there is room, the same bits")
        return file


def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path, whole, saw):
    files = {one_run(tmp_path, free, whole, saw) for free in (0, 4, 8, 16, 32, 64, 128, 256)}
    low, high = 0, SIZE - 4  # what is written last needs the most room: find where a run just ends
    while high - low > 4:
        middle = (low + high) // 8 * 4
        file = one_run(tmp_path, middle + 1, whole, saw)
        files.add(file)
        low, high = (low, middle) if file is None else (middle, high)
    assert {"config", "checkpoint", None} <= files and files & {"model", "done", "log"}


def test_images_that_do_not_fit_are_not_half_written(tmp_path, saw):
    count = 300  # 900 kilobytes
    known = rendered(WORLD(), "train", count, tmp_path / "plain").numpy()
    for free in (0, 100, 500, 880):
        disk = tmp_path / f"disk{free}"
        with small_disk(disk, SIZE) as mounted:
            if not mounted:
                pytest.skip("no disk may be mounted here")
            filler = leave_free(disk, free)
            with pytest.raises(OSError) as error:
                rendered(WORLD(), "train", count, disk)
            assert_one_line(str(error.value), "cannot be written: No space left", f"{disk}/figurines-train")
            assert not [path for path in disk.iterdir() if path.suffix in (".npy", ".part")]
            filler.unlink()
            assert np.array_equal(rendered(WORLD(), "train", count, disk).numpy(), known)
            outcome = "one line that names the file; with room, the same images"
            saw(FAULT, "while the images of a world are drawn", outcome)


def notebook(path, code: str):
    cells = [nbformat.v4.new_code_cell("n: int = 3  # how many", metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(code)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def test_a_notebook_that_does_not_fit_leaves_the_last_good_one(tmp_path, saw):
    disk = tmp_path / "disk"
    with small_disk(disk, SIZE) as mounted:
        if not mounted:
            pytest.skip("no disk may be mounted here")
        output = execute(notebook(tmp_path / "one.ipynb", "print(n)"), disk / "out.ipynb")
        before = output.read_bytes()
        longer = notebook(tmp_path / "one.ipynb", "print('x' * 200_000)")
        filler = leave_free(disk, 100)
        with pytest.raises(NotebookError, match=r"out\.ipynb: cannot be written \(No space left") as error:
            execute(longer, output)
        assert_one_line(str(error.value))
        filler.unlink()
        assert output.read_bytes() == before and [path.name for path in disk.iterdir()] == ["out.ipynb"]
        assert b"xxxx" in execute(longer, output).read_bytes()
        saw(FAULT, "while a notebook is executed", "one line that names the file; the last good page stays")


def test_a_finished_run_is_read_on_a_full_disk(tmp_path, saw):
    disk = tmp_path / "disk"
    with small_disk(disk, SIZE) as mounted:
        if not mounted:
            pytest.skip("no disk may be mounted here")
        run = train_run(disk)
        leave_free(disk, 0)
        assert train_run(disk, draw=None) == run == Run(disk / RUN.name) and run.load()
        saw(FAULT, "when a finished run is asked for", "it is read")
