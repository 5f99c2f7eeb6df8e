"""The weights and texts in an HDF5 file of whatever origin."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from autodenoise.errors import InputError, MissingExtra, extra_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Stored", "parse", "read"]

_PROGRAM = Path(__file__).with_name("hdf5.py")

_SECONDS: Final = 20
_BYTES_A_SECOND: Final = 25_000_000
"""How long it may take: a file of half a GiB takes two seconds, starting less than one."""


@dataclass(frozen=True)
class Stored:
    """What an HDF5 file holds.

    Attributes
    ----------
    texts
        By the path of what they are of and their name: ``"/conv2d@weight_names"``.
    arrays
        By their path: ``"/conv2d/kernel:0"``.
    refused
        Why others are not taken, by their path.
    """

    texts: Mapping[str, list[str]]
    arrays: Mapping[str, NDArray[np.float32]]
    refused: Mapping[str, str]


def read(content: bytes) -> Stored:
    """Read an HDF5 file, in a process of its own.

    Raises
    ------
    InputError
        It is damaged.
    MissingExtra
        h5py is not installed.
    """
    if importlib.util.find_spec("h5py") is None:
        raise MissingExtra("h5py", extra_of("h5py"))
    try:
        done = subprocess.run(
            # Not the folder of the program: modules beside it have common names.
            [sys.executable, "-P", str(_PROGRAM)],
            input=content,
            capture_output=True,
            timeout=_SECONDS + len(content) / _BYTES_A_SECOND,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"it is damaged: HDF5 is not done with it after {error.timeout:.0f} seconds"
        ) from None
    except subprocess.CalledProcessError:
        raise InputError("it is damaged: HDF5 cannot read it") from None
    return parse(done.stdout)


def parse(told: bytes) -> Stored:
    """Read what `hdf5.dump` has written."""
    start = 8 + int.from_bytes(told[:8], "little")
    header = json.loads(told[8:start])
    arrays = {}
    for path, shape in header["arrays"]:
        count = math.prod(shape)
        values = np.frombuffer(told, "<f4", count, start)
        arrays[path] = values.reshape(shape)
        start += 4 * count
    return Stored(header["texts"], arrays, header["refused"])
