"""Read noise profiles that ``autodenoise noise-profile`` wrote."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from autodenoise.errors import InputError, UsageError
from autodenoise.noise import Measured
from autodenoise.recipes.errors import explain

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["noise_from"]


class _File(BaseModel):
    """The part of the file that defines the noise."""

    model_config = ConfigDict(extra="forbid", strict=True)
    noise: Measured


def noise_from(path: Path) -> Measured:
    """Return the noise in a noise profile file, or raise `InputError`."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"cannot read the noise profile {path}: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    if not isinstance(table.get("noise"), dict):
        raise InputError(
            f"{path} is not a noise profile: it has no table [noise]. "
            "Create one with: autodenoise noise-profile"
        )
    about = table.get("profile")
    if isinstance(about, dict) and about.get("own_unit", False):
        raise InputError(
            f"{path} was measured on files of unknown intensity range, so it does not apply to "
            "other images. Measure images of 8 or 16 bits, or train without a profile, which "
            "measures the noise on the noisy images"
        )
    try:
        # Through JSON: strict validation accepts its arrays as tuples.
        text = json.dumps({"noise": table["noise"]}, default=str)
        return _File.model_validate_json(text).noise
    except ValidationError as error:
        known = [entry.name for entry in dataclasses.fields(Measured)]
        raise InputError(f"{path}: {explain(error, known)}") from None
    except UsageError as error:
        raise InputError(f"{path}: {error}") from None
