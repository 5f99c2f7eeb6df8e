"""``autodenoise models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from autodenoise.runtime import Card, Entry

__all__ = ["models"]


def models(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Where to look, instead of in this folder and in runs/.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it for a program.")] = False,
) -> None:
    """List the models that can be used: shipped ones, model files and runs."""
    import dataclasses
    import json

    from rich.console import Console

    from autodenoise import runtime

    entries = runtime.list_models(folders or ())
    if as_json:
        told = [{**dataclasses.asdict(entry), "path": str(entry.path)} for entry in entries]
        typer.echo(json.dumps(told, indent=2))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if any(entry.card for entry in entries):
        console.print(_table(entries))
    for entry in entries:
        if entry.card is None:
            console.print(_printable(entry.problem), soft_wrap=True)


def _table(entries: list[Entry]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("model", overflow="fold")
    table.add_column("network", no_wrap=True)
    table.add_column("images", no_wrap=True)
    table.add_column("trained on", overflow="fold")
    for entry in entries:
        if card := entry.card:
            table.add_row(
                _lines(_printable(entry.name), card.licence),
                _lines(card.network, f"{card.parameters:,} parameters", _precision(card)),
                _lines(*_images(card)),
                _lines(
                    card.data,
                    *(_noise(part) for part in card.noise),
                    *(f"{name} {score:.4f}" for name, score in card.scores.items()),
                ),
            )
    return table


def _precision(card: Card) -> str:
    return "" if card.precision == "float32" else card.precision


def _images(card: Card) -> list[str]:
    colours = {1: "grey", 3: "RGB"}.get(card.channels, f"{card.channels} channels")
    if card.size is not None:
        height, width = card.size
        return [colours, f"{width}x{height} only"]
    multiple = "any size" if card.size_multiple == 1 else f"any multiple of {card.size_multiple}"
    return [colours, multiple] if card.halo is None else [colours, multiple, f"halo {card.halo}"]


def _noise(part: dict[str, Any]) -> str:
    said = [str(part.get("kind", "noise"))]
    for key, value in part.items():
        if key == "parts":
            said.append(" / ".join(dict.fromkeys(_kinds(value))))
        elif value is True:
            said.append(key)
        elif key != "kind" and value is not False:
            values = value if isinstance(value, list) else [value]
            # What was measured is too much for a line.
            if len(values) <= 2 and not any(isinstance(number, list) for number in values):
                said.append(f"{key} {' to '.join(str(number) for number in values)}")
    return ", ".join(said)


def _kinds(parts: Any) -> Iterator[str]:
    """Name the kinds of noise in a mixture, however deep."""
    if isinstance(parts, list):
        for part in parts:
            yield from _kinds(part)
    elif isinstance(parts, dict):
        if "kind" in parts and "parts" not in parts:
            yield str(parts["kind"])
        for within in parts.values():
            yield from _kinds(within)


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


def _printable(text: str) -> str:
    # A file's name may hold anything, also what makes a terminal do things.
    return text if text.isprintable() else ascii(text)
