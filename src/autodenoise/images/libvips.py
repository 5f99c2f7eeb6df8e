"""libvips through pyvips, with its warnings off.

pyvips hands libvips's warnings to Python's logging in whichever thread they come up. Python may
collect garbage there, which closes images, which may warn again, and GLib ends the process over a
warning within a warning. About one in ten thousand damaged files did that. What is wrong with a
file comes as an error anyway.
"""

from __future__ import annotations

import os

# Read when libvips starts, which is when pyvips is first imported.
os.environ.setdefault("VIPS_WARNING", "0")

import pyvips

pyvips._remove_log_handler()  # noqa: SLF001 - there is no public way

__all__ = ["pyvips"]
