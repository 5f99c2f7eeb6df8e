"""The model files that come with autodenoise, beside this file."""

from __future__ import annotations

from typing import Final

__all__ = ["FILES"]

FILES: Final[dict[str, str]] = {}
"""The file of each shipped model by the model's name; the first is used where none is named."""
