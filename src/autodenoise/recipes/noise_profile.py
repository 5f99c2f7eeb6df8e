"""Noise that ``noise-profile`` measured, from its file."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from autodenoise.errors import InputError, UsageError
from autodenoise.noise import Measured
from autodenoise.recipes.errors import explain

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["noise_from"]


@dataclass(frozen=True)
class _File:
    """What is read of it; the numbers for people are not looked at."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    noise: Measured


_FILE: TypeAdapter[_File] = TypeAdapter(_File)


def noise_from(path: Path) -> Measured:
    """Read the noise that ``autodenoise noise-profile`` wrote.

    Raises
    ------
    InputError
        The file is missing, is not TOML, or is no noise profile; the message names the first thing
        that is wrong.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"cannot read the noise profile {path}: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    if not isinstance(table.get("noise"), dict):
        raise InputError(
            f"{path} is no noise profile: it has no table [noise]. "
            "autodenoise noise-profile makes one"
        )
    about = table.get("profile")
    if isinstance(about, dict) and about.get("own_unit", False):
        raise InputError(
            f"{path} was measured in its files' own unit, since they do not say what is black and "
            "what is white, so its strength fits no other pictures. Measure pictures of 8 or 16 "
            "bits, or learn without it: noise of noisy pictures is measured on them"
        )
    try:
        # By way of JSON, whose arrays strict checking takes for tuples.
        return _FILE.validate_json(json.dumps({"noise": table["noise"]}, default=str)).noise
    except ValidationError as error:
        known = [entry.name for entry in dataclasses.fields(Measured)]
        raise InputError(f"{path}: {explain(error, known)}") from None
    except UsageError as error:
        raise InputError(f"{path}: {error}") from None
