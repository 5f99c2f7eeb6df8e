"""The local web page and its HTTP API."""

from __future__ import annotations

from autodenoise.web.limits import Limits
from autodenoise.web.server import PORT, serve

__all__ = ["PORT", "Limits", "serve"]
