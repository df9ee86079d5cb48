"""Where and how a run is computed, never what: one `Hardware` is passed from the command line to the training loop.

A worker's rows of a batch, torchrun's process group, CPU threads, and options that make blocks cheaper to run.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import torch
import torch.distributed as dist
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mae_lib.devices import best_device
from mae_lib.training.tensorboard import require_tensorboard


@dataclass(frozen=True)
class Hardware:
    """Settings that change a result by no more than its last bits, so they are not part of a run's address.

    Raises ValueError for fewer than one thread or micro-batch, and for TensorBoard if it is not installed.
    """

    device: str | None = None  # cpu, cuda or mps; by default the best available
    threads: int = 1  # of the CPU: small models gain little from a second, and lose much when other work needs the core
    micro_batches: int = 1  # parts of a batch, one after another, to save memory
    compiled: bool = False  # blocks by torch.compile
    checkpoint_blocks: bool = False  # compute blocks twice, to save memory
    workers: int | None = None  # that load images ahead; by default the loader's choice
    save_seconds: float = 60  # between two checkpoints, at least
    progress: bool = True  # show a progress bar
    tensorboard: bool = False  # event files beside the log

    def __post_init__(self) -> None:
        if self.threads < 1 or self.micro_batches < 1:
            raise ValueError(
                f"threads and micro_batches must be at least 1, not {self.threads} and {self.micro_batches}"
            )
        if self.tensorboard:
            require_tensorboard()

    @property
    def torch_device(self) -> torch.device:
        """The device to compute on. Raises ValueError for one that is not available."""
        return best_device(self.device)

    def rows(self, batch: int) -> Tensor:
        """This worker's rows of a batch, int64 (micro_batches, b). Raises ValueError if it does not split evenly."""
        rank, world = rank_and_world()
        if batch % (world * self.micro_batches):
            raise ValueError(f"batch {batch} does not split into {world} workers x {self.micro_batches} micro-batches")
        return torch.arange(batch).view(world, self.micro_batches, -1)[rank]


def apply_memory_options(model: nn.Module, hardware: Hardware) -> None:
    """Make the transformer blocks of a model cheaper to run, in place; names and results stay, up to the last bits.

    compiled: by torch.compile, block by block, so that equal blocks are compiled once and masks stay outside; this
    takes a minute at the start and needs a compiler. checkpoint_blocks: only a block's input is kept for the backward
    pass, which recomputes the rest: a third more work, and memory for one block instead of all.
    """
    for block in (module for module in model.modules() if isinstance(module, Block)):
        if hardware.checkpoint_blocks:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if hardware.compiled:
            block.compile()


# The workers of torchrun


class WorkerLostError(ConnectionError):
    """Another worker of torchrun was lost; everything saved is still there."""


def rank_and_world() -> tuple[int, int]:
    """This worker's number and how many there are; (0, 1) without torchrun."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def meet() -> None:
    """Wait here for the other workers, if any."""
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other workers of torchrun, if any, until the process ends.

    They join only once: a second time they would use the addresses of the first. Raises WorkerLostError if one is lost.
    """
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several and not dist.is_initialized():  # long enough to wait for a run that another process is training
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=1))
        atexit.register(dist.destroy_process_group)
    try:
        yield
    except RuntimeError as error:
        if not several or not _is_loss_of_worker(error):
            raise
        raise WorkerLostError("another worker went away; the same command goes on from the last checkpoint") from None


def _is_loss_of_worker(error: RuntimeError) -> bool:
    """Whether NCCL, gloo or torchrun's store raises this error when the other end of a connection is gone."""
    said = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "recvValue failed")
    return isinstance(error, dist.DistError) or any(words in str(error) for words in said)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block on that many CPU threads; two processes that share cores without this slow each other fivefold.

    Inside it, subnormal numbers, which cost a CPU a hundred times the work and change nothing, count as zero. The
    caller's settings are restored.
    """
    before, flushed = torch.get_num_threads(), not torch.tensor(1e-40).mul(1).item()
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)
