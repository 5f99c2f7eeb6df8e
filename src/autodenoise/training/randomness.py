"""Where random numbers come from: a generator of its own for every purpose and place in a run.

No generator is carried along. The order of epoch 7 or the noise of its step 12 follow from the
run's seed and those numbers alone, so a run resumes bit-exactly from them.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

__all__ = ["generator"]


def generator(
    seed: int, purpose: str, *place: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Make the generator for one purpose at one place.

    Parameters
    ----------
    seed
        The run's.
    purpose
        A word such as ``"order"``; different purposes draw independently.
    place
        Non-negative integers such as phase, epoch and step.
    device
        Where it draws.
    """
    # With the length, since SeedSequence takes [1] and [1, 0] for the same.
    entropy = [seed, zlib.crc32(purpose.encode()), len(place), *place]
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))
