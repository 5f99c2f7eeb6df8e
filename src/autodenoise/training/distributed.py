"""Training by several processes that share each batch, as torchrun starts them.

All of them hold the same weights and draw the same random numbers, for whole batches. Each takes
some rows of every batch through the network, and the gradients are added up: the step is that of
one process, up to rounding.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

from autodenoise.errors import ProcessLost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SINGLE_PROCESS", "World", "joined"]


@dataclass(frozen=True)
class World:
    """The processes of one training, as one of them sees them.

    All have to call the methods that ask the others, in the same order.

    Attributes
    ----------
    rank, count
        Which one this is, from 0, and how many there are.
    local
        Which one this is on its machine, from 0.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and reports."""
        return self.rank == 0

    def parts(self, rows: int, each: int) -> list[slice]:
        """Cut a batch of so many rows evenly, `each` parts for a process, and give this one's.

        They are fewer where there are too few rows, or none.
        """
        count = self.count * each
        edges = [rows * n // count for n in range(self.rank * each, (self.rank + 1) * each + 1)]
        return [slice(*ends) for ends in itertools.pairwise(edges) if ends[0] < ends[1]]

    def add_up(self, values: Sequence[Tensor]) -> None:
        """Put the sums over all processes into tensors of one type, by a single message.

        Raises
        ------
        ProcessLost
            Another process is gone.
        """
        if self.count == 1:
            return
        flat = torch.cat([value.flatten() for value in values])
        with _telling_of_loss():
            distributed.all_reduce(flat)
        sizes = [value.numel() for value in values]
        for value, total in zip(values, torch.split(flat, sizes), strict=True):
            value.copy_(total.view_as(value))

    def largest(self, *values: float) -> list[float]:
        """Give the largest that any process has of each of some numbers.

        What a clock or a signal says differs between processes; by this they go on alike.

        Raises
        ------
        ProcessLost
            Another process is gone.
        """
        if self.count == 1:
            return list(values)
        # Not on a GPU, whose work would have to be waited for.
        found = torch.tensor(values, dtype=torch.float64)
        with _telling_of_loss():
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return found.tolist()

    def agree(self, said: str) -> bool:
        """Tell whether all processes say the same.

        Raises
        ------
        ProcessLost
            Another process is gone.
        """
        number = zlib.crc32(said.encode())
        highest, lowest = self.largest(number, -number)
        return highest == -lowest

    @contextlib.contextmanager
    def one_first(self) -> Iterator[None]:
        """Let one process of each machine do something before the others, such as a download.

        Raises
        ------
        ProcessLost
            Another process is gone.
        """
        if self.local > 0:
            self.wait()
        yield
        if self.local == 0:
            self.wait()

    def wait(self) -> None:
        """Wait until all processes are here.

        Raises
        ------
        ProcessLost
            Another process is gone.
        """
        self.largest(0)


SINGLE_PROCESS = World()
"""A training by one process, which asks nobody."""


@contextlib.contextmanager
def joined() -> Iterator[World]:
    """Meet the other processes if torchrun started this one; else be alone.

    When one fails they all end, and the first to fail is the only one to raise what happened.

    Raises
    ------
    SystemExit
        Another process failed, and says why.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield SINGLE_PROCESS
        return
    # Not every build of torch has them.
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    shared, rank, count = next(rendezvous("env://"))
    # torchrun may start all anew, with what the last ones left there still in the store.
    store = PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], shared)
    # What is agreed on goes through the CPU also where gradients do not.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield World(rank, count, int(os.environ["LOCAL_RANK"]))
    except BaseException:
        # Before the others lose this one, which they could take for what happened.
        if store.add("failed", 1) > 1:
            raise SystemExit(1) from None
        raise
    distributed.destroy_process_group()


@contextlib.contextmanager
def _telling_of_loss() -> Iterator[None]:
    try:
        yield
    except RuntimeError:
        raise ProcessLost(
            "another process of this training is gone without a word; it may have been killed, or "
            "have had too little memory. Go on from the last checkpoint with --resume"
        ) from None
