"""Everything that autodenoise raises on purpose.

::

    AutodenoiseError            exit code 1
    ├── UsageError              2    a request that cannot mean anything: unknown name, wrong type
    │   └── MissingExtra        2    an optional part is not installed
    ├── InputError              3    something that was read is missing, damaged or does not fit
    ├── OutputError             4    something could not be written, or is there already
    ├── TrainingDiverged        5    the loss is no longer a number
    ├── ProcessLost             6    another process of the same training is gone
    └── Interrupted             130  stopped on request; what was done is kept

A message says what was expected, what came, and what to do.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AutodenoiseError",
    "InputError",
    "Interrupted",
    "MissingExtra",
    "OutputError",
    "ProcessLost",
    "TrainingDiverged",
    "UsageError",
    "extra_of",
    "unknown_name",
]


class AutodenoiseError(Exception):
    """The root: catch this one to catch them all."""

    exit_code: ClassVar[int] = 1


class UsageError(AutodenoiseError):
    """A request that cannot mean anything: unknown name, wrong type, value out of range."""

    exit_code = 2


class MissingExtra(UsageError):
    """An optional part is not installed; the message gives the pip command."""

    def __init__(self, missing: str, extra: str) -> None:
        super().__init__(
            f"this needs an optional part that is not installed ({missing} is missing). "
            f"Install it with: pip install 'autodenoise[{extra}]'"
        )


class InputError(AutodenoiseError):
    """A file or data set is missing, damaged, or does not fit."""

    exit_code = 3


class OutputError(AutodenoiseError):
    """A result could not be written, or would have overwritten another."""

    exit_code = 4


class TrainingDiverged(AutodenoiseError):
    """The training loss became NaN or infinite."""

    exit_code = 5


class ProcessLost(AutodenoiseError):
    """Another of the processes that train together is gone."""

    exit_code = 6


class Interrupted(AutodenoiseError):
    """The work was stopped on request; what was done is kept."""

    exit_code = 130


def extra_of(module: str) -> str:
    """Give the name of the optional part that brings a module."""
    extras = {
        "fastapi": "web",
        "fastapi_offline": "web",
        "filelock": "search",
        "h5py": "keras",
        "optuna": "search",
        "pywt": "baselines",
        "scipy": "baselines",
        "skimage": "baselines",
        "starlette": "web",
        "tensorboard": "tracking",
        "uvicorn": "web",
        "zarr": "volumes",
    }
    return extras.get(module.partition(".")[0], "train")


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """Make the error for a name that is not in a table, with the nearest one that is.

    Parameters
    ----------
    what
        What was looked for, as a noun: ``"recipe"``.
    name
        The name that came.
    known
        The names there are.
    """
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
    return UsageError(f"unknown {what} '{name}'; {hint}")
