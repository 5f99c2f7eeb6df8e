"""Run the command line in this process."""

from __future__ import annotations

import sys

import pytest

from autodenoise.cli import main

__all__ = ["run"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run ``autodenoise ARGUMENTS`` and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["autodenoise", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
