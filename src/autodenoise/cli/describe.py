"""``autodenoise describe``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.tables import network_facts, plain_console, print_layers, print_table

if TYPE_CHECKING:
    from autodenoise.runs import Description

__all__ = ["describe"]


def describe(
    recipe: Annotated[
        str, typer.Argument(help="A built-in recipe's name, a .toml file, or a run folder.")
    ],
    diagram: Annotated[
        Path | None,
        typer.Option(help="Also draw the network, into this new .png, .svg or .pdf file."),
    ] = None,
) -> None:
    """Describe a recipe: its data, noise, phases, and network layer by layer."""
    from autodenoise import runs
    from autodenoise.cli.progress import Downloads

    with Downloads() as downloads:
        description = runs.describe(recipe, on_bytes=downloads)
    if diagram is not None:
        description.save_diagram(diagram)
    shown, console = description.recipe, plain_console()
    console.print(f"{shown.name}: {shown.title}", style="bold")
    if shown.about:
        console.print(" ".join(shown.about.split()))
    console.print()
    print_table(console, ("", ""), _facts(description).items(), header=False)
    console.print()
    print_layers(console, description.summary)
    if diagram is not None:
        typer.echo(f"\ndiagram: {diagram}")


def _facts(description: Description) -> dict[str, str]:
    from autodenoise.metrics import loss_text
    from autodenoise.recipes import description as recipe_text

    recipe, summary = description.recipe, description.summary
    facts = {
        "source": recipe.source or "-",
        "data": recipe_text.data(recipe),
        "noise": "\n".join(recipe_text.noises(recipe)),
    }
    for name, phase in recipe.phase.items():
        facts[f"phase {name}"] = " ".join(recipe_text.phase(phase, recipe.data))
    for name, losses in recipe.printed.items():
        printed = ", ".join(f"{epoch}: {loss_text(loss)}" for epoch, loss in losses.items())
        facts[f"printed {name}"] = f"validation loss after epoch {printed}"
    arguments = ", ".join(f"{key} = {value}" for key, value in recipe.network.arguments.items())
    facts["network"] = recipe.network.name + (f" with {arguments}" if arguments else "")
    size, images = network_facts(summary, description.multiple, description.halo)
    return facts | {"size": size, "code": summary.code_description, "images": images}
