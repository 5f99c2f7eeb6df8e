"""Random generators: a new one for every purpose and place in a run.

No generator's state is carried along. The order of epoch 7 and the noise of its step 12 depend only
on the run's seed and those numbers, so a run resumes bit-exactly from them.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

__all__ = ["generator"]


def generator(
    seed: int, purpose: str, *place: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the generator for one purpose at one place.

    Different purposes, words such as ``"order"``, draw independently, and so do places:
    non-negative integers such as phase, epoch and step.

    Examples
    --------
    >>> one, same = generator(0, "order", 3), generator(0, "order", 3)
    >>> bool((torch.rand(5, generator=one) == torch.rand(5, generator=same)).all())
    True
    """
    # The length is included because SeedSequence does not distinguish [1] from [1, 0].
    entropy = [seed, zlib.crc32(purpose.encode()), len(place), *place]
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))
