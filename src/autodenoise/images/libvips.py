"""pyvips, imported with libvips's warnings disabled.

pyvips passes libvips's warnings to Python's logging, on whichever thread they occur. Garbage
collection there may close images, which may warn again, and GLib aborts the process on a warning
within a warning. About one in ten thousand damaged files triggered that. Problems with a file are
raised as errors anyway.
"""

from __future__ import annotations

import os

# libvips reads this once, when pyvips is first imported.
os.environ.setdefault("VIPS_WARNING", "0")

import pyvips

pyvips._remove_log_handler()  # noqa: SLF001 - there is no public way

__all__ = ["error_text", "pyvips"]


def error_text(error: Exception) -> str:
    """Return libvips's error message on one line, without the names of its operations."""
    lines = (line.strip() for line in str(error).splitlines())
    # Threads share libvips's error log, and pyvips's own lookups leave messages there.
    noise = ("unable to call", "unable to fetch", "image: no property named")
    relevant = (line for line in lines if line and not line.startswith(noise))
    return "; ".join(dict.fromkeys(relevant)) or "libvips gave no reason"
