"""Training by several processes that share each batch, started by torchrun.

All processes have the same weights and draw the same random numbers, for whole batches. Each sends
some rows of every batch through the network, and the gradients are summed: the step is that of a
single process, up to rounding.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from autodenoise.errors import ProcessLost

__all__ = ["SINGLE_PROCESS", "World", "join_world"]


@dataclass(frozen=True)
class World:
    """The processes that train together, from the point of view of one of them.

    All processes must call the methods that communicate in the same order. Those raise
    `ProcessLost` if another process has disappeared. `local_rank` is the index of this process on
    its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def parts(self, rows: int, parts: int) -> list[slice]:
        """Divide a batch evenly into `parts` per process, and return those of this process.

        There are fewer, or none, if there are too few rows.

        Examples
        --------
        >>> World(rank=1, size=2).parts(rows=10, parts=2)
        [slice(5, 7, None), slice(7, 10, None)]
        """
        count = self.size * parts
        first = self.rank * parts
        edges = [rows * n // count for n in range(first, first + parts + 1)]
        return [slice(*ends) for ends in itertools.pairwise(edges) if ends[0] < ends[1]]

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one dtype with their sums over all processes, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _errors_as_process_lost():
            distributed.all_reduce(flat)
        sizes = [tensor.numel() for tensor in tensors]
        for tensor, total in zip(tensors, torch.split(flat, sizes), strict=True):
            tensor.copy_(total.view_as(tensor))

    def all_max(self, *values: float) -> list[float]:
        """Return the maximum of each value over all processes.

        Clocks and signals differ between processes; their maximum keeps the processes in step.
        """
        if self.size == 1:
            return list(values)
        # On the CPU: a GPU would have to finish its work first.
        maxima = torch.tensor(values, dtype=torch.float64)
        with _errors_as_process_lost():
            distributed.all_reduce(maxima, distributed.ReduceOp.MAX)
        return maxima.tolist()

    def all_agree(self, text: str) -> bool:
        """Return whether all processes have the same text."""
        digest = zlib.crc32(text.encode())
        highest, lowest = self.all_max(digest, -digest)
        return highest == -lowest

    @contextlib.contextmanager
    def local_main_first(self) -> Iterator[None]:
        """Run a ``with`` block, such as a download, first in one process of each machine."""
        if self.local_rank > 0:
            self.barrier()
        yield
        if self.local_rank == 0:
            self.barrier()

    def barrier(self) -> None:
        """Wait for all processes."""
        self.all_max(0)


SINGLE_PROCESS = World()
"""The world of a process that trains alone."""


@contextlib.contextmanager
def join_world() -> Iterator[World]:
    """Yield the world of this process: that of torchrun if it started this process.

    When one process fails they all end. Only the first one to fail raises its error, others
    SystemExit.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield SINGLE_PROCESS
        return
    # Not every build of torch has these.
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    shared, rank, size = next(rendezvous("env://"))
    # After a restart by torchrun, the store still has the entries of the previous processes.
    store = PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], shared)
    # `all_max` communicates through the CPU even if gradients do not.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield World(rank, size, int(os.environ["LOCAL_RANK"]))
    except BaseException:
        # Mark the failure before the others lose this process and take that for the cause.
        if store.add("failed", 1) > 1:
            raise SystemExit(1) from None
        raise
    distributed.destroy_process_group()


@contextlib.contextmanager
def _errors_as_process_lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError:
        raise ProcessLost(
            "another process of this training disappeared without an error; it may have been "
            "killed, or run out of memory. Resume from the last checkpoint with --resume"
        ) from None
