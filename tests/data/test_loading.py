"""Batches are a function of (seed, visit): the same for any number of workers, from any step, in any pieces."""

import os
import shutil
from types import SimpleNamespace

import pytest
import torch

from mae_lib.data.files import Broken, DataError
from mae_lib.data.loading import (
    Ahead,
    Visits,
    _Prepared,
    _ready,
    centres,
    check_shared_memory,
    default_workers,
    fixed_order,
)
from mae_lib.imagenet import sets

BATCH, STEPS = 24, 6  # 144 visits of 60 images: a pass ends within a batch


@pytest.fixture
def visits(real_data):
    return Visits(sets.imagenet("train"), 16, 60, (0.2, 1.0), seed=5)


def ahead(visits, pieces, workers=0):
    return Ahead(visits, BATCH, STEPS, pieces, Broken(visits.images, 0.0), workers)


def test_a_pass_visits_every_image_once_in_an_order_of_its_own(visits):
    first, second = (visits.chosen(torch.arange(60 * turn, 60 * (turn + 1))) for turn in range(2))
    assert set(first.tolist()) == set(second.tolist()) == set(fixed_order(64)[:60].tolist())
    assert not torch.equal(first, second)
    assert torch.equal(visits.chosen(torch.arange(50, 70)), torch.cat([first[50:], second[:10]]))


def test_a_view_belongs_to_its_visit_and_not_to_its_image(visits):
    images, labels, _ = visits(torch.arange(120))
    one = int(visits.chosen(torch.arange(60))[0])
    again = 60 + visits.chosen(torch.arange(60, 120)).tolist().index(one)
    assert labels[0] == labels[again] == visits.images.labels[one]
    assert not torch.equal(images[0], images[again])
    assert torch.equal(visits(torch.tensor([again]))[0][0], images[again])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world, micro", [(1, 1), (1, 3), (2, 2)])
def test_workers_and_pieces_and_the_step_where_it_starts_change_nothing(visits, workers, world, micro):
    whole = [visits(torch.arange(BATCH * step, BATCH * (step + 1)))[0] for step in range(STEPS)]
    for rank in range(world):
        pieces = torch.arange(BATCH).view(world, micro, -1)[rank]
        for start in (0, 4):
            batch_of = ahead(visits, pieces, workers)
            for step in range(start, STEPS):
                for rows in pieces:
                    assert torch.equal(batch_of(step, rows)[0], whole[step][rows])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_that_vanishes_ends_the_run_with_one_line(real_data, tmp_path, workers):
    shutil.copytree(real_data["MAE_LIB_IMAGENET"], tmp_path / "imagenet")
    images = sets.imagenet("train", tmp_path / "imagenet")
    batch_of = ahead(Visits(images, 16, 60, (0.2, 1.0), 5), [torch.arange(BATCH)], workers)
    shutil.rmtree(tmp_path / "imagenet")
    with pytest.raises(DataError, match=r"^\S+/train has vanished: mount it again, and the same command goes on$"):
        batch_of(0, torch.arange(BATCH))


def test_evaluations_see_every_image_asked_for_in_order(real_data):
    images = sets.imagenet("val")
    numbers = fixed_order(64)[:50]
    parts = list(centres(images, numbers, 16, limit=0.0, batch=7, workers=1))
    assert torch.equal(torch.cat([read for _, read in parts]), numbers)
    assert torch.cat([views for views, _ in parts]).shape == (50, 3, 16, 16)


def test_cores_are_shared_among_the_runs_of_a_machine(monkeypatch):
    monkeypatch.delenv("MAE_LIB_WORKERS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)), raising=False)
    assert default_workers() == 32
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert default_workers() == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert default_workers() == 0
    monkeypatch.setenv("MAE_LIB_WORKERS", "3")
    assert default_workers() == 3
    monkeypatch.setenv("MAE_LIB_WORKERS", "many")
    with pytest.raises(ValueError, match="MAE_LIB_WORKERS is 'many'"):
        default_workers()


@pytest.mark.parametrize("read_only", [False, True])
def test_shared_memory_that_is_too_small_is_said_before_workers_hang(monkeypatch, tmp_path, read_only):
    about = SimpleNamespace(f_flag=os.ST_RDONLY if read_only else 0, f_bavail=16384, f_frsize=4096)  # docker's 64 MiB
    monkeypatch.setattr(os, "statvfs", lambda folder: about)
    says = r"2 workers need .* MiB, and .*: set MAE_LIB_WORKERS=0, or fewer, or enlarge it \(docker run --shm-size"
    with pytest.raises(DataError, match=says):
        check_shared_memory(2, 1 << 27, tmp_path)
    check_shared_memory(0, 1 << 40, tmp_path)  # nobody to share with
    check_shared_memory(2, 1 << 40, str(tmp_path / "none"))  # shared otherwise, as on macOS
    if not read_only:
        check_shared_memory(2, 1 << 24, tmp_path)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
        with pytest.raises(DataError, match="need 64"):
            check_shared_memory(2, 1 << 24, tmp_path)


def test_loaders_ask_for_what_their_batches_take(visits, monkeypatch):
    asked = []
    monkeypatch.setattr("mae_lib.data.loading.check_shared_memory", lambda *given: asked.append(given))
    each = 3 * 16 * 16
    ahead(visits, torch.arange(BATCH).split(8), workers=0)(0, torch.arange(8))
    next(centres(visits.images, torch.arange(10), 16, 0.0, batch=4))
    assert asked == [(0, 0), (0, 0)]
    asked.clear()
    list(_ready(_Prepared(visits, 8, [torch.arange(8)]), range(2), 1, bytes_each=8 * each))
    assert asked == [(1, 2 * 8 * each)]  # no more than there are
