"""Print networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from autodenoise.nets.summary import NetworkSummary

__all__ = ["format_image_sizes", "format_network_size", "layers_table"]


def format_network_size(summary: NetworkSummary) -> str:
    """Format the number of parameters and operations of a network."""
    return (
        f"{summary.parameters:,} parameters, {summary.parameters * 4 / 1024:,.1f} KiB; "
        f"{summary.multiply_adds / 1e6:.2f} million multiply-adds per image"
    )


def format_image_sizes(summary: NetworkSummary, multiple: int | None, halo: int | None) -> str:
    """Format the image sizes that a network accepts."""
    height, width = summary.layers[0].shape[1:]
    if multiple is None:
        return f"{width}x{height} pixels only"
    return (
        f"sides that {multiple} divides; an output pixel depends on inputs up to {halo} pixels away"
    )


def layers_table(summary: NetworkSummary) -> Table:
    """Return a table of a network, one layer per row."""
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
    return table
