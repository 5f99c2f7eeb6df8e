"""The exceptions that autodenoise raises.

::

    AutodenoiseError            exit code 1
    ├── UsageError              2    an invalid request: unknown name, wrong type
    │   └── MissingExtra        2    an optional part is not installed
    ├── InputError              3    an input is missing, damaged or does not fit
    ├── OutputError             4    an output cannot be written, or exists already
    ├── TrainingDiverged        5    the loss is NaN or infinite
    ├── ProcessLost             6    another process of the same training has ended
    └── Interrupted             130  stopped on request; finished work remains

Each message says what was expected, what was found, and what to do.
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
    """Base class of all exceptions of autodenoise."""

    exit_code: ClassVar[int] = 1


class UsageError(AutodenoiseError):
    """The request is invalid: unknown name, wrong type, value out of range."""

    exit_code = 2


class MissingExtra(UsageError):
    """An optional part is not installed; the message contains the pip command."""

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
    """Another process of the same distributed training has ended."""

    exit_code = 6


class Interrupted(AutodenoiseError):
    """The work was stopped on request; finished work remains."""

    exit_code = 130


def extra_of(module: str) -> str:
    """Return the extra of this package that installs a module."""
    modules_by_extra = {
        "baselines": ("pywt", "scipy", "skimage"),
        "keras": ("h5py",),
        "search": ("filelock", "optuna"),
        "tracking": ("tensorboard",),
        "volumes": ("zarr",),
        "web": ("fastapi", "fastapi_offline", "starlette", "uvicorn"),
    }
    name = module.partition(".")[0]
    return next((extra for extra, found in modules_by_extra.items() if name in found), "train")


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for an unknown name, with the nearest known name.

    >>> str(unknown_name("recipe", "conv-mnits", ["conv-mnist", "unet"]))
    "unknown recipe 'conv-mnits'; did you mean 'conv-mnist'?"
    """
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
    return UsageError(f"unknown {what} '{name}'; {hint}")
