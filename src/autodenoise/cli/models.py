"""``autodenoise models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.options import AsJson
from autodenoise.cli.tables import plain_console

if TYPE_CHECKING:
    from rich.table import Table

    from autodenoise.runtime import ModelEntry

__all__ = ["models"]


def models(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER", help="The folders to search.", show_default="this folder and runs/"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the available models: shipped ones, model files and runs."""
    import dataclasses
    import json

    from autodenoise import runtime

    entries = runtime.list_models(folders or ())
    if as_json:
        content = [{**dataclasses.asdict(entry), "path": str(entry.path)} for entry in entries]
        typer.echo(json.dumps(content, indent=2))
        return
    console = plain_console()
    if any(entry.card for entry in entries):
        console.print(_table(entries))
    for entry in entries:
        if entry.card is None:
            console.print(_printable(entry.problem), soft_wrap=True)


def _table(entries: list[ModelEntry]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    # Keep names of a usual length on one line: users copy them.
    longest = max(len(entry.name) for entry in entries)
    table.add_column("model", overflow="fold", min_width=min(longest, 32))
    table.add_column("network", no_wrap=True)
    table.add_column("images", no_wrap=True)
    table.add_column("trained on", overflow="fold")
    for entry in entries:
        if entry.card:
            card = entry.card.describe()
            cells = (
                [_printable(entry.name), *card["license"]],
                card["network"],
                card["images"],
                [*card["trained on"], *card["scores"]],
            )
            table.add_row(*map("\n".join, cells))
    return table


def _printable(text: str) -> str:
    # A file name may contain control characters of the terminal.
    return text if text.isprintable() else ascii(text)
