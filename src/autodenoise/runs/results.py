"""Result files: JSON in a run folder, with the digest of the scored model file."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, TypeVar

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


def write(folder: Path, name: str, result: DataclassInstance) -> None:
    """Write a result, with the digest of the folder's model file."""
    content = {**dataclasses.asdict(result), _DIGEST_KEY: digest(folder / MODEL_NAME)}
    write_text(folder / name, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read(folder: Path, name: str, kind: type[T]) -> tuple[T | None, str]:
    """Return a result of a run folder, or None if it is missing, and a note if it is unusable.

    A result is unusable if its file is damaged or belongs to another model file.
    """
    path = folder / name
    if not path.exists():
        return None, ""
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
        result = TypeAdapter(kind).validate_python(content)
    except (OSError, ValueError, ValidationError):
        return None, f"{name} is skipped: it cannot be read."
    if content.get(_DIGEST_KEY) != digest(folder / MODEL_NAME):
        return None, f"{name} is skipped: it is outdated, since the model file has changed."
    return result, ""


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a finite score")
