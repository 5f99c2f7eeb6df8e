"""Find, list and load models by name or path."""

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
_SUFFIX = ".onnx"


@dataclass(frozen=True)
class ModelEntry:
    """A model file in a listing, with the name for `load` and ``--model``.

    An unusable file has no card but a `problem`, which says why.
    """

    name: str
    path: Path
    card: Card | None
    problem: str = ""

    @classmethod
    def read(cls, name: str, path: Path) -> ModelEntry:
        """Read the card of a model file, without running the model."""
        try:
            return cls(name, path, model_file.read_card(path))
        except InputError as error:
            return cls(name, path, None, str(error))


def load(model: str | os.PathLike[str] | None = None) -> Model:
    """Load a model by name or path.

    Parameters
    ----------
    model
        The name of a shipped model, the path of an ``.onnx`` file or a run folder, or the name of a
        run in ``runs/``. None means the default model for photos.

    Raises
    ------
    UsageError
        No model has this name.
    InputError
        The file is missing or damaged, or contains more than a denoiser needs.

    Examples
    --------
    >>> load("photo-fast-gray").card.channels
    1
    """
    return Model(find_model(model))


def find_model(model: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the model file of an argument of `load`.

    Raises `UsageError` if no model has this name, `InputError` if a run folder has no model file.
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
            f"{folders[0]} has no {MODEL_NAME}, which is written at the end of training; finish "
            f"it with: autodenoise train --resume {quoted(folders[0])}"
        )
    if path.exists() or len(path.parts) > 1 or path.suffix == _SUFFIX:
        # If the file is missing, the error comes from reading it.
        return path
    known = [*weights.FILES, *(file.parent.name for file in _RUNS.glob(f"*/{MODEL_NAME}"))]
    raise unknown_name("model", name, sorted(known))


def list_models(folders: Iterable[str | os.PathLike[str]] = ()) -> list[ModelEntry]:
    """List the shipped models, and the model files and runs in some folders.

    By default these are the current folder and ``runs/``. No model is run, and unusable files are
    listed with their problem. Raises `InputError` if one of `folders` is not a folder.
    """
    entries = [ModelEntry.read(name, _SHIPPED / file) for name, file in weights.FILES.items()]
    searched = [Path(folder) for folder in folders]
    for folder in searched:
        if not folder.is_dir():
            raise InputError(f"no such folder: {folder}")
    for folder in dict.fromkeys(searched or [Path(), _RUNS]):
        files = sorted(folder.glob(f"*{_SUFFIX}"))
        entries += [ModelEntry.read(str(file), file) for file in files]
        runs = sorted(folder.glob(f"*/{MODEL_NAME}"))
        entries += [ModelEntry.read(_run_name(file), file) for file in runs]
    return entries


def _run_name(file: Path) -> str:
    """Return the shortest name that `find_model` resolves to the run's model file."""
    run = file.parent
    taken = run.name in weights.FILES or (Path(run.name) / MODEL_NAME).is_file()
    return run.name if run.parent == _RUNS and not taken else str(run)
