"""Batches that are ready when the GPU needs them, and do not depend on what prepares them.

A *visit* is the n-th time that training uses an image. The image and its crop depend only on (seed, visit), so a
resumed run sees the same pixels, as does any number of workers, processes or machines. Worker processes (torch's
DataLoader) stay a few batches ahead of the current step.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mae_lib import randomness
from mae_lib.data.files import Broken, DataError, Images, Unreadable, readable
from mae_lib.data.views import SHARE, VIEW_NUMBERS, as_tensor, evaluation_view, training_view

Batch = tuple[Tensor, Tensor, list[tuple[int, str]]]  # images uint8 (b, 3, s, s), labels (b,), unreadable: reasons
_AHEAD = 2  # batches that each worker prepares before they are asked for
_ROOM = 1 << 18  # bytes of shared memory for locks and small things


def default_workers() -> int:
    """Processes that prepare batches: `$MAE_LIB_WORKERS`, else this machine's cores divided among its processes.

    0 on a machine with two cores or fewer, where they would only compete with training.
    """
    if named := os.environ.get("MAE_LIB_WORKERS"):
        if not named.isdecimal():
            raise ValueError(f"MAE_LIB_WORKERS is {named!r}: it must be a whole number, 0 or more")
        return int(named)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1))) if cores > 2 else 0


@dataclass(frozen=True)
class Visits:
    """Random crops of `size` pixels of the first `count` images in random order, by seed and pass.

    A crop covers a share of the area in `scale` and is mirrored half of the time, unless `flip` is off. An unreadable
    image is replaced by the next one.
    """

    images: Images
    size: int
    count: int
    scale: tuple[float, float]
    seed: int
    flip: bool = True

    def __call__(self, visits: Tensor) -> Batch:
        """The views of these visits, int64 (b,)."""
        numbers = randomness.uniform(self.seed, visits, "crop", (VIEW_NUMBERS,)).tolist()
        views, labels, broken = [], [], []
        for chosen, u in zip(self.chosen(visits).tolist(), numbers):
            image, number, passed = readable(self.images, chosen)
            u[4] = u[4] if self.flip else 1.0
            views.append(as_tensor(training_view(image, self.size, u, self.scale)))
            labels.append(int(self.images.labels[number]))
            broken += passed
        return torch.stack(views), torch.tensor(labels), broken

    def chosen(self, visits: Tensor) -> Tensor:
        """The numbers of the images that are visited."""
        among = fixed_order(len(self.images))[: self.count]
        return among[randomness.shuffled(self.seed, visits, self.count)]


@lru_cache(maxsize=4)
def fixed_order(count: int) -> Tensor:
    """A fixed shuffled order of a set's images: files come sorted by class; here the first few are a sample."""
    return randomness.ranks(0, torch.zeros(1, dtype=torch.int64), "fixed order", count)[0]


@dataclass
class Ahead:
    """Batches of visits for a training loop, prepared by `workers` processes; 0: by this one, on demand.

    The loop asks for (step, rows) in the order of steps and, within a step, of `pieces`, each the rows (b,) of `batch`
    that are this process's; it may begin anywhere.
    """

    visits: Visits
    batch: int
    steps: int
    pieces: Sequence[Tensor]
    broken: Broken
    workers: int | None = 0  # None: `default_workers()`
    pin: bool = False  # in memory that a GPU can read directly
    _batches: Iterator | None = field(default=None, repr=False)
    _next: int = -1

    def __call__(self, step: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 images (b, 3, s, s) and labels (b,) of these rows, on the CPU."""
        place = step * len(self.pieces) + [int(piece[0]) for piece in self.pieces].index(int(rows[0]))
        if place != self._next:
            self._batches = self._from(place)
        images, labels, broken = next(self._batches)
        self._next = place + 1
        self.broken.add(broken)
        return images, labels

    def _from(self, place: int) -> Iterator[Batch]:
        prepared = _Prepared(self.visits, self.batch, self.pieces)
        places = range(place, self.steps * len(self.pieces))
        most = max(len(piece) for piece in self.pieces)
        workers = default_workers() if self.workers is None else self.workers
        return _ready(prepared, places, workers, self.pin, most * _bytes(self.visits.size))


def _bytes(size: int) -> int:
    """Bytes of a view with side `size`."""
    return 3 * size * size


class _Work(Dataset):
    """A worker's task for each place; an error that ends the run is returned as its message."""

    def prepare(self, place: int) -> Batch:
        raise NotImplementedError

    def __getitem__(self, place: int) -> Batch | str:
        try:
            return self.prepare(place)
        except DataError as error:
            return str(error)


class _Prepared(_Work):
    def __init__(self, visits: Visits, batch: int, pieces: Sequence[Tensor]) -> None:
        self.visits, self.batch, self.pieces = visits, batch, pieces

    def prepare(self, place: int) -> Batch:
        step, piece = divmod(place, len(self.pieces))
        return self.visits(step * self.batch + self.pieces[piece])


def _ready(work: _Work, places: range, workers: int, pin: bool = False, bytes_each: int = 0) -> Iterator[Batch]:
    check_shared_memory(workers, bytes_each * min(len(places), workers * (_AHEAD + 1)))  # one is in use
    ahead = {"prefetch_factor": _AHEAD} if workers else {}
    for made in DataLoader(work, sampler=places, batch_size=None, num_workers=workers, pin_memory=pin, **ahead):
        if isinstance(made, str):
            raise DataError(made)
        yield made


def check_shared_memory(workers: int, needed: int, folder: str = "/dev/shm") -> None:
    """Refuse workers whose batches, `needed` bytes, do not fit into shared memory: they would hang silently.

    Raises DataError, saying what to set. Where there is no such folder, memory is shared in another way.
    """
    if not workers or not os.path.isdir(folder):
        return
    about = os.statvfs(folder)
    needed = needed * int(os.environ.get("LOCAL_WORLD_SIZE", 1)) + _ROOM
    free = 0 if about.f_flag & os.ST_RDONLY else about.f_bavail * about.f_frsize
    if free < needed:
        fits = "it cannot be written" if about.f_flag & os.ST_RDONLY else f"{free / 2**20:,.1f} are free"
        raise DataError(
            f"shared memory, {folder}, is too small: {workers} workers need {needed / 2**20:,.1f} MiB, and "
            f"{fits}: set MAE_LIB_WORKERS=0, or fewer, or enlarge it (docker run --shm-size, or --ipc=host)"
        )


class _Centres(_Work):
    """The evaluation's views of images, `batch` at a time; those that cannot be read are left out."""

    def __init__(self, images: Images, numbers: Tensor, size: int, share: float, batch: int) -> None:
        self.images, self.parts, self.size, self.share = images, numbers.split(batch), size, share

    def prepare(self, place: int) -> Batch:
        views, numbers, broken = [], [], []
        for number in self.parts[place].tolist():
            try:
                views.append(as_tensor(evaluation_view(self.images.read(number), self.size, self.share)))
                numbers.append(number)
            except Unreadable as error:
                broken.append((number, str(error)))
        shape = (0, 3, self.size, self.size)
        stacked = torch.stack(views) if views else torch.zeros(shape, dtype=torch.uint8)
        return stacked, torch.tensor(numbers, dtype=torch.int64), broken


def centres(
    images: Images,
    numbers: Tensor,
    size: int,
    limit: float,
    share: float = SHARE,
    batch: int = 256,
    workers: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Evaluation views, uint8 (b, 3, size, size), and numbers (b,) of the readable images among these numbers.

    `share` as in `evaluation_view`. Raises DataError if more than a share `limit` of the set cannot be read.
    """
    prepared, broken = _Centres(images, numbers, size, share, batch), Broken(images, limit)
    most = min(batch, len(numbers)) * _bytes(size)
    for views, read, unread in _ready(prepared, range(len(prepared.parts)), workers, bytes_each=most):
        broken.add(unread)
        if len(read):
            yield views, read
