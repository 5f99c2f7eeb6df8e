"""Results: the JSON files in a run folder, each with the digest of the model file it is of."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from autodenoise.files import digest, write_text
from autodenoise.runtime import MODEL_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import DataclassInstance

__all__ = [
    "CLASSIFIER_NAME",
    "COMPARISON_NAME",
    "ESTIMATE_NAME",
    "EVALUATION_NAME",
    "OUTLIERS_NAME",
    "Found",
    "read",
    "write",
]

EVALUATION_NAME = "evaluation.json"
ESTIMATE_NAME = "estimate.json"
CLASSIFIER_NAME = "classifier.json"
OUTLIERS_NAME = "outliers.json"
COMPARISON_NAME = "comparison.json"

_DIGEST_KEY = "model_sha256"

T = TypeVar("T")


class Found(NamedTuple, Generic[T]):
    """A result that a folder was searched for.

    Attributes
    ----------
    result
        None if it is not there, or cannot be used.
    note
        Why it cannot be used.
    """

    result: T | None
    note: str = ""


def write(folder: Path, name: str, result: DataclassInstance) -> None:
    """Write a result of the folder's model file."""
    content = {**dataclasses.asdict(result), _DIGEST_KEY: digest(folder / MODEL_NAME)}
    write_text(folder / name, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read(folder: Path, name: str, kind: type[T]) -> Found[T]:
    """Read a result of the folder's model file; one that is damaged or of another is passed over.

    Parameters
    ----------
    folder
        The run folder.
    name
        Of the file.
    kind
        The dataclass that it holds.
    """
    path = folder / name
    if not path.exists():
        return Found(None)
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
        result = TypeAdapter(kind).validate_python(content)
    except (OSError, ValueError, ValidationError):
        return Found(None, f"{name} is passed over: it cannot be read.")
    if content.get(_DIGEST_KEY) != digest(folder / MODEL_NAME):
        return Found(None, f"{name} is passed over: it is stale, of another model file than this.")
    return Found(result)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no score")
