"""The local page and its HTTP API: drop a picture, see it clean."""

from __future__ import annotations

from autodenoise.web.limits import Limits
from autodenoise.web.server import PORT, serve

__all__ = ["PORT", "Limits", "serve"]
