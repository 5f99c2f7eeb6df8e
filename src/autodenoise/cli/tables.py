"""Print tables and networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from autodenoise.nets.summary import NetworkSummary

__all__ = ["network_facts", "optional", "plain_console", "print_layers", "print_table"]


def plain_console() -> Console:
    """Return a console that prints texts as they are, without colors and markup."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def optional(value: float | None, form: str) -> str:
    """Format a number, None as a dash."""
    return "-" if value is None else format(value, form)


def print_table(
    console: Console, headings: Sequence[str], rows: Iterable[Sequence[str]], *, header: bool = True
) -> None:
    """Print a table; if it has a header, align the columns after the first to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=header)
    for heading in headings:
        right = header and bool(table.columns)
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def network_facts(
    summary: NetworkSummary, multiple: int | None, halo: int | None
) -> tuple[str, str]:
    """Describe the parameters and operations of a network, and the image sizes it accepts."""
    height, width = summary.layers[0].shape[1:]
    size = (
        f"{summary.parameters:,} parameters, {summary.parameters * 4 / 1024:,.1f} KiB; "
        f"{summary.multiply_adds / 1e6:.2f} million multiply-adds per image"
    )
    if multiple is None:
        return size, f"{width}x{height} pixels only"
    return size, (
        f"sides that {multiple} divides; an output pixel depends on inputs up to {halo} pixels away"
    )


def print_layers(console: Console, summary: NetworkSummary) -> None:
    """Print a network, one layer per row."""
    from rich.table import Table

    from autodenoise.nets.summary import format_shape

    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("", justify="right")
    table.add_column("layer", "total")
    table.add_column("output", justify="right")
    table.add_column("parameters", f"{summary.parameters:,}", justify="right")
    table.add_column("")
    for row, layer in enumerate(summary.layers):
        note = "code" if row == summary.code[-1] else ""
        if layer.inputs not in ((), (row - 1,)):
            note = "of " + " and ".join(str(source) for source in layer.inputs)
        table.add_row(
            str(row), layer.operation, format_shape(layer.shape), f"{layer.parameters:,}", note
        )
    console.print(table)
