"""Which model is meant by a name or a path, and which there are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise import weights
from autodenoise.errors import InputError, unknown_name
from autodenoise.files import quoted
from autodenoise.runtime import model_file
from autodenoise.runtime.model import MODEL_NAME, Model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autodenoise.runtime.card import Card

__all__ = ["ModelEntry", "find_model", "list_models", "load"]

_SHIPPED = Path(weights.__file__).parent
_RUNS = Path("runs")
_ENDING = ".onnx"


@dataclass(frozen=True)
class ModelEntry:
    """A model file that was found.

    Attributes
    ----------
    name
        What to give `load`, or to type after ``--model``.
    path
        The file.
    card
        What it says of itself; None where it cannot be used.
    problem
        Why it cannot be used; empty where it can.
    """

    name: str
    path: Path
    card: Card | None
    problem: str = ""

    @classmethod
    def read(cls, name: str, path: Path) -> ModelEntry:
        """Look at a model file without running anything of it."""
        try:
            return cls(name, path, model_file.read_card(path))
        except InputError as error:
            return cls(name, path, None, str(error))


def load(model: str | os.PathLike[str] | None = None) -> Model:
    """Read a model file that is named as `find_model` has it.

    Raises
    ------
    UsageError
        No model has this name.
    InputError
        There is no such file, it is damaged, or holds more than a denoiser needs.
    """
    return Model(find_model(model))


def find_model(model: str | os.PathLike[str] | None = None) -> Path:
    """Find the model file that is meant.

    Parameters
    ----------
    model
        The name of a shipped model; an ``.onnx`` file, or a run folder, whose model file is taken;
        the name of a run under ``runs/``. None means the model that autodenoise ships for photos.

    Raises
    ------
    UsageError
        No model has this name.
    InputError
        A path that leads nowhere, or a run folder without a model file.
    """
    if model is None:
        model = next(iter(weights.FILES))
    name = os.fspath(model)
    if name in weights.FILES:
        return _SHIPPED / weights.FILES[name]
    path = Path(name)
    folders = [folder for folder in (path, _RUNS / path) if folder.is_dir()]
    for folder in folders:
        if (folder / MODEL_NAME).is_file():
            return folder / MODEL_NAME
    if folders:
        raise InputError(
            f"{folders[0]} holds no {MODEL_NAME}; a run gets it when its training ends: "
            f"autodenoise train --resume {quoted(folders[0])}"
        )
    if path.exists() or len(path.parts) > 1 or path.suffix == _ENDING:
        # What is no file gets its message from whoever reads it.
        return path
    known = [*weights.FILES, *(folder.parent.name for folder in _RUNS.glob(f"*/{MODEL_NAME}"))]
    raise unknown_name("model", name, sorted(known))


def list_models(folders: Iterable[str | os.PathLike[str]] = ()) -> list[ModelEntry]:
    """List the shipped models, and the model files and runs in some folders.

    Their cards are read, nothing is run: a file that cannot be used is listed with its problem.

    Parameters
    ----------
    folders
        By default the current one and ``runs/``.

    Raises
    ------
    InputError
        One of `folders` is none.
    """
    entries = [ModelEntry.read(name, _SHIPPED / file) for name, file in weights.FILES.items()]
    chosen = [Path(folder) for folder in folders]
    for folder in chosen:
        if not folder.is_dir():
            raise InputError(f"no such folder: {folder}")
    for folder in dict.fromkeys(chosen or [Path(), _RUNS]):
        files = sorted(folder.glob(f"*{_ENDING}"))
        entries += [ModelEntry.read(str(file), file) for file in files]
        runs = sorted(folder.glob(f"*/{MODEL_NAME}"))
        entries += [ModelEntry.read(_name_of_run(file), file) for file in runs]
    return entries


def _name_of_run(file: Path) -> str:
    """Give the shortest name by which `find_model` comes upon a run's model file."""
    run = file.parent
    taken = run.name in weights.FILES or (Path(run.name) / MODEL_NAME).is_file()
    return run.name if run.parent == _RUNS and not taken else str(run)
